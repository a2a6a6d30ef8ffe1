# %% [markdown]
# # 11 · Changing your mind
#
# ![How an order is processed, with OrderService, PaymentProcessing and Fulfillment highlighted](../docs/pictures/11_changing_your_mind.svg)
#
# Customers change their minds. In this notebook you cancel orders at every stage:
# before the charge, after it, in a race with the shipment, and ten times at once.
# Afterwards you can say why each order ends well without a lock and without a
# distributed transaction.
#
# ## The idea: a saga
#
# In one database you would *roll back*. Here there's no rollback: a payment provider
# charged the card, and no `ROLLBACK` reaches another company's system. You can only do
# something else that undoes the charge. A **saga** is a sequence of steps. Each step
# commits on its own and has a **compensation**, a business action that undoes it:
#
# | step | compensation |
# |---|---|
# | store the order | store that it is cancelled |
# | charge the card | void a charge that hasn't happened, refund one that has |
# | hand the parcel to the carrier | none: from here on, the customer has to return the parcel |
#
# The last row is the *point of no return*. A saga has to decide, for every order,
# whether the order has passed that point. Nobody coordinates this saga: each function
# does its step, or its compensation, when an event arrives. AWS describes the pattern
# in its [cloud design
# patterns](https://docs.aws.amazon.com/prescriptive-guidance/latest/cloud-design-patterns/saga.html);
# notebook 14 has the same saga with a coordinator.

# %%
import json
import random
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError

import boto3
import tour

stack = tour.connect()
customer = tour.customer()
wish = {"items": [{"sku": "KETTLE", "quantity": 1}], "paymentMethod": "tok_visa"}


# %% [markdown]
# One call cancels an order. The API either accepts the cancellation, and responds with
# the order, or refuses it with 409 and a reason. Both are useful here, so this function
# returns either response:


# %%
def cancel(order_id):
    """Return the response: the order with its cancellation, or the problem."""
    try:
        return customer.post(f"/orders/{order_id}/cancellation")
    except HTTPError as refused:
        return json.load(refused)


# %% [markdown]
# ## The cancellation wins
#
# You cancel an order after the card is charged and before the parcel is shipped. On
# your machine that moment lasts a few milliseconds, so you stretch it with
# `tour.rules_off`: while a function's rule is disabled, no event reaches that function.
#
# **Predict**: which events will the audit log have for the order, and what will the
# payment provider's ledger show?
#
# <details><summary>Answer</summary>
#
# `OrderPlacedEvent`, `PaymentCompletedEvent`, `OrderCancelledEvent` and
# `PaymentRefundedEvent`; no `FulfillmentCompletedEvent`. The ledger has one charge and
# one refund: the compensation is a second transaction, and the first one stays in the
# ledger.
#
# </details>

# %%
with tour.rules_off("fulfillment"):
    order_id = customer.post("/orders", wish)["orderId"]
    tour.wait_until(lambda: "payment" in tour.order(order_id), "the charge")
    accepted = cancel(order_id)

refunded, rows = tour.follow(order_id)
tour.tree(rows, refunded)

# %%
tour.values(status=refunded["status"], reason=refunded["cancellation"]["reason"])
tour.table([tour.ledger(order_id)])

# %%
books = tour.ledger(order_id)
tour.expect("the order is refunded", refunded["status"] == "REFUNDED")
tour.expect("one charge, one refund", (books["charges"], books["refunds"]) == (1, 1))

# %% [markdown]
# Fulfillment missed the payment's event while its rule was disabled. But events can
# also arrive late. **Predict**: what does Fulfillment do if `PaymentCompletedEvent`
# reaches it now?
#
# <details><summary>Answer</summary>
#
# Nothing. Its write requires that the order isn't cancelled, so DynamoDB refuses it.
# That isn't an error: the function ends, publishes nothing, and nothing is retried.
#
# </details>
#
# You invoke the function yourself, with the event as EventBridge would deliver it, and
# wait for its response:


# %%
def deliver(function, row):
    """Invoke a function with a logged event; True if it ended without an error."""
    response = boto3.client("lambda").invoke(
        FunctionName=stack.function(function),
        Payload=json.dumps(tour.envelope_of(row)),
    )
    return "FunctionError" not in response


[paid] = [row for row in rows if row["eventType"] == "PaymentCompletedEvent"]
tour.expect("Fulfillment ended without an error", deliver("fulfillment", paid))
tour.expect("nothing was shipped", "fulfillment" not in tour.order(order_id))

# %% [markdown]
# ## The shipment wins
#
# Now the other way round: you cancel when the parcel is already with the carrier.

# %%
late = customer.post("/orders", wish)["orderId"]
shipped, _ = tour.follow(late)
refusal = cancel(late)
tour.values(response=refusal["status"], detail=refusal["detail"])

# %%
tour.expect("the API refuses with 409", refusal["status"] == 409)
tour.expect("the order is as it was", tour.order(late) == shipped)
tour.expect("nothing is refunded", tour.ledger(late)["refunds"] == 0)

# %% [markdown]
# ## Two writes decide
#
# OrderService and Fulfillment may run at the same time, on different machines, and
# neither asks the other. Each makes one conditional write to the order's item. The
# cancellation's write requires that there's no fulfilment:

# %%
from orders.aws.store import OrdersTable

tour.source(OrdersTable.cancel)

# %% [markdown]
# And the fulfilment's write requires that there's no cancellation:

# %%
tour.source(OrdersTable.record_fulfillment)

# %% [markdown]
# DynamoDB serializes the writes to one item and checks the
# [condition](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html)
# as part of the write. Whichever write comes first makes the other's condition false.
# So exactly one is applied, and the function whose write was refused knows it at once.
#
# **Why no lock?** A lock costs two more calls for each order, even for the thousands
# that nobody cancels. A function that dies while it holds the lock blocks the order
# until the lock times out. A function that is only slow continues after the timeout as
# if it still held the lock. A condition is checked at the moment of the write, and
# nobody has to release it.
#
# ## A race
#
# You place twelve orders and cancel each at a random moment: you read the order up to
# five times, and then you cancel it.
#
# **Predict**: can an order be shipped *and* refunded? Can an order be charged, and then
# neither shipped nor refunded?
#
# <details><summary>Answer</summary>
#
# No, neither is possible. The order's item decides between shipment and cancellation.
# The provider's ledger decides about the money: the provider refunds a charge that has
# happened, and *voids* one that hasn't, so that a charge still under way can't succeed
# later.
#
# </details>


# %%
def race(looks):
    order_id = customer.post("/orders", wish)["orderId"]
    for _ in range(looks):
        customer.get(f"/orders/{order_id}")
    return order_id, "orderId" in cancel(order_id)


random_looks = [random.randrange(6) for _ in range(12)]
with ThreadPoolExecutor(4) as pool:
    runs = list(pool.map(race, random_looks))


# %% [markdown]
# An open order has a `dueAt`, the time from which the Reconciler may look at it; an
# order that has ended has none. You wait until all twelve have ended, and see how each
# of them ended:


# %%
def have_ended():
    return all("dueAt" not in tour.order(order_id) for order_id, _ in runs)


tour.wait_until(have_ended, "the end of the twelve orders")


def outcome(looks, order_id, accepted):
    order, books = tour.order(order_id), tour.ledger(order_id)
    return {
        "looks": looks,
        "cancellation": "accepted" if accepted else "too late",
        "status": order["status"],
        "shipped": "fulfillment" in order,
        **{name: books[name] for name in ("charges", "refunds")},
    }


outcomes = [outcome(looks, *run) for looks, run in zip(random_looks, runs, strict=True)]
tour.table(sorted(outcomes, key=lambda each: each["looks"]))


# %%
def is_consistent(each):
    """Shipped and charged once; or cancelled, with every charge refunded."""
    if each["shipped"]:
        return (each["status"], each["charges"], each["refunds"]) == ("FULFILLED", 1, 0)
    cancelled = each["status"] in ("CANCELLED", "REFUNDED")
    return cancelled and each["charges"] == each["refunds"]


tour.expect("every order ended consistently", all(map(is_consistent, outcomes)))
tour.expect(
    "the API's response agrees with it",
    all(each["shipped"] == (each["cancellation"] == "too late") for each in outcomes),
)

# %% [markdown]
# Run these three cells again: the outcomes change, but both claims hold.
#
# ## Many at once
#
# You are impatient and click *Cancel* ten times. **Predict**: how many responses say
# that the order is cancelled, and how many refunds are there?
#
# <details><summary>Answer</summary>
#
# All ten say so: the first with 202, the others with 200, because the order is
# cancelled already. There's one cancellation, one `OrderCancelledEvent` and one refund.
#
# </details>

# %%
with tour.rules_off("fulfillment"):
    order_id = customer.post("/orders", wish)["orderId"]
    tour.wait_until(lambda: "payment" in tour.order(order_id), "the charge")
    with ThreadPoolExecutor(10) as pool:
        responses = list(pool.map(cancel, [order_id] * 10))

ended, rows = tour.follow(order_id)
tour.tree(rows, ended)

# %%
when = {response["cancellation"]["at"] for response in responses}
tour.expect("ten responses, one cancellation", len(responses) == 10 and len(when) == 1)
tour.expect("one refund", tour.ledger(order_id)["refunds"] == 1)

# %% [markdown]
# ## Break it: the refund overtakes the cancellation
#
# The bus doesn't keep events in order. `PaymentRefundedEvent` may reach
# OrderStatusUpdater before the `OrderCancelledEvent` that led to it. You hold
# OrderStatusUpdater's events back (and Fulfillment's, so that nothing is shipped),
# cancel the order, and then deliver the events to OrderStatusUpdater yourself, the last
# one first.
#
# **Predict**: which statuses will the order's history have?
#
# <details><summary>Answer</summary>
#
# `PLACED` and `REFUNDED`. `REFUNDED` may follow any earlier status, so the status
# jumps. The two late events find an order that is already further along, and change
# nothing.
#
# </details>

# %%
with tour.rules_off("orderStatusUpdater"), tour.rules_off("fulfillment"):
    order_id = customer.post("/orders", wish)["orderId"]
    tour.wait_until(lambda: "payment" in tour.order(order_id), "the charge")
    cancel(order_id)
    logged = tour.wait_until(
        lambda: rows if len(rows := tour.rows_of(order_id)) == 4 else None,
        "all four events in the audit log",
    )

# %%
by_type = {row["eventType"]: row for row in logged}
for name in ("PaymentRefundedEvent", "OrderCancelledEvent", "PaymentCompletedEvent"):
    is_accepted = deliver("orderStatusUpdater", by_type[name])
    tour.expect(f"OrderStatusUpdater accepts {name}", is_accepted)

ended, _ = tour.follow(order_id)
history = [change["status"] for change in ended["statusHistory"]]
tour.values(history=" → ".join(history))

# %%
tour.expect("the status went straight to REFUNDED", history == ["PLACED", "REFUNDED"])

# %% [markdown]
# ## Before the charge: void
#
# What if the cancellation comes *before* the charge? There's nothing to refund, but a
# charge may be under way. The provider's `cancel` therefore *voids* the idempotency
# key: no later charge with this key succeeds. You try it on the provider itself, with a
# key that belongs to no order:

# %%
from orders.aws.gateway import SimulatedGateway

ledger = stack.outputs["GatewayLedgerTableName"]
provider = SimulatedGateway(boto3.client("dynamodb"), ledger)
key = f"notebook-{random.getrandbits(64):x}"
cancelled = provider.cancel(idempotency_key=key, reference=key)
charged = provider.charge("tok_visa", 4950, "EUR", idempotency_key=key, reference=key)
tour.values(cancel=cancelled, charge_afterwards=charged)

# %%
tour.expect("no charge after the void", tour.ledger(key)["charges"] == 0)

# %% [markdown]
# ## Lab 11.1: cancelled, and never charged
#
# Place an order with `tok_visa` and make it end as `CANCELLED` without a charge. In the
# provider's ledger it should have no charge and no refund, only a voided key. Pass the
# order's id to `tour.check`. The check looks at the order and at the ledger, delivers
# the order's `OrderPlacedEvent` to PaymentProcessing once more, and looks again.
#
# <details><summary>Hint</summary>
#
# PaymentProcessing consumes both `OrderPlacedEvent` and `OrderCancelledEvent`, through
# one rule. While that rule is disabled, the card isn't charged, but PaymentProcessing
# misses the cancellation as well. `tour.rows_of(order_id)` has both events, and
# `tour.publish(row)` publishes one again. Which of the two must come first?
#
# </details>

# %% tags=["exercise"]
order_id = None

tour.check("11.1", order_id)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# with tour.rules_off("paymentProcessing"):
#     order_id = customer.post("/orders", wish)["orderId"]
#     cancel(order_id)
#     logged = tour.wait_until(
#         lambda: rows if len(rows := tour.rows_of(order_id)) == 2 else None,
#         "both events in the audit log",
#     )
#
# [cancelled] = [row for row in logged if row["eventType"] == "OrderCancelledEvent"]
# tour.publish(cancelled)
# tour.follow(order_id)
# tour.check("11.1", order_id)
# ```
#
# You published only the cancellation, so it came first. When the check delivered
# `OrderPlacedEvent`, PaymentProcessing found a closed order and charged nothing.
#
# </details>

# %% [markdown]
# ## Recap
#
# - A saga doesn't roll back: each step has a compensation, and there's a point of no
#   return.
# - Two conditional writes to one item decide a race. Neither side asks the other, and
#   nobody holds a lock.
# - The payment provider decides about the money: it refunds a charge that has happened
#   and voids one that hasn't, once per key.
# - A refusal is a result: a late cancellation gets a 409, and a late fulfilment ends
#   without an error.
#
# A table in [docs/architecture.md](../docs/architecture.md#cancelling) lists everything
# that can happen between a cancellation and a charge.
#
# **Next:** [12 · The next version](12_the_next_version.ipynb)
