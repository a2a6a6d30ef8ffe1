# %% [markdown]
# # 11 · Changing your mind
#
# ![How an order is processed, with OrderService, PaymentProcessing and Fulfillment highlighted](../docs/pictures/11_changing_your_mind.svg)
#
# You order, and then you change your mind. In this notebook you cancel orders at every
# moment of their life: before the charge, after it, in a race with the shipment, and
# ten times at once. You will be able to say why each order ends well, without a lock
# and without a transaction.
#
# ## The idea: a saga
#
# In one database you would *roll back*. Here no rollback exists: the card was charged
# by a payment provider, and no `ROLLBACK` reaches another company's system. What is
# left is to do something that undoes it. A **saga** is a sequence of steps, each of
# which commits alone, and each of which has a **compensation** that undoes it in the
# language of the business:
#
# | step | compensation |
# |---|---|
# | store the order | store that it is cancelled |
# | charge the card | void a charge that hasn't happened, refund one that has |
# | hand the parcel to the carrier | none: from here on you return the parcel |
#
# The last line is the *point of no return*. A saga has to know where that is, and has
# to decide, for every order, on which side of it the order is. Nobody coordinates this
# saga: each function does its step, or its compensation, when an event arrives. AWS
# describes the pattern in its [cloud design
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
# One call cancels an order. The API accepts it (the response is the order), or refuses
# it with 409 and a reason. Either is fine here, so both come back as a value:


# %%
def cancel(order_id):
    """The response of the API: the order with its cancellation, or the problem."""
    try:
        return customer.post(f"/orders/{order_id}/cancellation")
    except HTTPError as refused:
        return json.load(refused)


# %% [markdown]
# ## The cancellation wins
#
# You cancel an order whose card is charged and that isn't shipped yet. Locally that
# moment is a few milliseconds long, so you stretch it with `tour.rules_off`: while a
# function's rule is disabled, no event reaches that function.
#
# **Predict**: which events will the order have, and what will the payment provider's
# ledger say?
#
# <details><summary>Answer</summary>
#
# `OrderPlacedEvent`, `PaymentCompletedEvent`, `OrderCancelledEvent` and
# `PaymentRefundedEvent`; no `FulfillmentCompletedEvent`. The ledger has one charge and
# one refund: the compensation is a second transaction, and the first one stays in the
# books.
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
# Fulfillment missed the payment's event while its rule was disabled. But events come
# late, too. **Predict**: what does Fulfillment do if `PaymentCompletedEvent` reaches it
# now?
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
    """Invoke a function with a logged event; whether it ended without an error."""
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
# The other side of the same moment: the parcel is with the carrier, and you cancel
# after that.

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
# OrderService and Fulfillment run at the same time, on different machines, and neither
# asks the other. Each does one conditional write to the order's item. The
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
# as part of the write. Whichever comes first makes the other's condition false. So
# exactly one is applied, and the loser learns it at once.
#
# **Why no lock?** A lock is two more calls for each order, also for the thousands that
# nobody cancels. A function that dies while it holds the lock blocks the order until
# the lock times out; and one that is only slow goes on after the time-out, as if it
# still held it. A condition holds at the moment of the write, and can't be forgotten.
#
# ## A race
#
# Twelve orders, and each is cancelled at a random moment: you look at it up to five
# times, then you cancel.
#
# **Predict**: can an order be shipped *and* refunded? Can one be charged, and then
# neither shipped nor refunded?
#
# <details><summary>Answer</summary>
#
# No, twice. The item decides between shipment and cancellation, and the provider's
# ledger decides about the money: it refunds what was charged, and *voids* what wasn't,
# so that a charge that is still under way can't succeed later.
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
# An order that has ended has no `dueAt` any more. You wait for the twelve, and look at
# what became of each:


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
    """Shipped, charged and kept; or cancelled, and every charge was refunded."""
    if each["shipped"]:
        return (each["status"], each["charges"], each["refunds"]) == ("FULFILLED", 1, 0)
    cancelled = each["status"] in ("CANCELLED", "REFUNDED")
    return cancelled and each["charges"] == each["refunds"]


tour.expect("every order ended on one side", all(map(is_consistent, outcomes)))
tour.expect(
    "the API said which side that is",
    all(each["shipped"] == (each["cancellation"] == "too late") for each in outcomes),
)

# %% [markdown]
# Run these three cells again: the mix changes, and the two claims hold.
#
# ## Many at once
#
# You are impatient and click *Cancel* ten times. **Predict**: how many responses say
# that the order is cancelled, and how many refunds are there?
#
# <details><summary>Answer</summary>
#
# All ten say so: the first with 202, the others with 200, because what they ask for is
# true already. There's one cancellation, one `OrderCancelledEvent` and one refund.
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
# The bus keeps no order. `PaymentRefundedEvent` may reach OrderStatusUpdater before the
# `OrderCancelledEvent` that led to it. You hold OrderStatusUpdater's events back,
# cancel, and then deliver them yourself, the last one first.
#
# **Predict**: which statuses will the order's history have?
#
# <details><summary>Answer</summary>
#
# `PLACED` and `REFUNDED`. The refund's event is true as soon as the refund is stored,
# so the status jumps. The two late events find an order that is further already, and
# change nothing.
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
# charge may be under way. The provider's `cancel` therefore voids the idempotency key.
# You try it on the provider itself, with a key that belongs to no order:

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
# Make an order end as `CANCELLED` without a charge: `tok_visa`, no refund, nothing in
# the provider's ledger but a voided key. Hand its id to `tour.check`. The check looks
# at the order and at the ledger, then delivers the order's `OrderPlacedEvent` to
# PaymentProcessing once more, and looks again.
#
# <details><summary>Hint</summary>
#
# PaymentProcessing consumes both `OrderPlacedEvent` and `OrderCancelledEvent`, by one
# rule. While that rule is disabled, the card isn't charged; but PaymentProcessing
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
# You published only the cancellation, so it came first. The charge that came later, in
# the check, found a closed order.
#
# </details>

# %% [markdown]
# ## Recap
#
# - A saga doesn't roll back: each step has a compensation, and there's a point of no
#   return.
# - Two conditional writes to one item decide a race. Neither side asks the other, and
#   nobody holds a lock.
# - The payment provider decides about the money: it refunds what was charged and voids
#   what wasn't, once per key.
# - A refusal is a result: a late cancellation gets a 409, a late fulfilment ends
#   quietly.
#
# What else can happen between a cancellation and a charge is a table in
# [docs/architecture.md](../docs/architecture.md#cancelling).
#
# **Next:** [12 · The next version](12_the_next_version.ipynb)
