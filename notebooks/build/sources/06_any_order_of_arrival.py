# %% [markdown]
# # 5 · Any order of arrival
#
# An event bus keeps no order. `FulfillmentCompletedEvent` may overtake `PaymentCompletedEvent`, and either may come twice. In this
# notebook you publish them in the wrong order yourself and look at what the status does.

# %%
import atexit
import json

import boto3
import tour

stack = tour.connect()
customer = tour.customer()
events = boto3.client("events")

# %% [markdown]
# ## The state machine
#
# These are the moves that an order's status may make. An arrow that is missing is a move that cannot happen.

# %%
from orders import model

moves = [
    (origin, to)
    for to, origins in model.TRANSITIONS.values()
    for origin in sorted(origins)
]
tour.topology(moves)

# %% [markdown]
# In the code it is a table: an event, the status that it makes, and the statuses that this one may follow.

# %%
{
    event.__name__: (to, sorted(origins))
    for event, (to, origins) in model.TRANSITIONS.items()
}

# %% [markdown]
# ## Hold the updater back
#
# To choose the order of arrival yourself, you switch off the rule that feeds OrderStatusUpdater. (It is switched on again below, and
# also if you leave the notebook in between.)

# %%
updater = boto3.client("lambda").get_function(
    FunctionName=stack.function("orderStatusUpdater")
)["Configuration"]
bus = stack.outputs["EventBusName"]
[rule] = events.list_rule_names_by_target(
    TargetArn=updater["FunctionArn"], EventBusName=bus
)["RuleNames"]
atexit.register(events.enable_rule, Name=rule, EventBusName=bus)
events.disable_rule(Name=rule, EventBusName=bus)
events.describe_rule(Name=rule, EventBusName=bus)["State"]

# %% [markdown]
# An order placed now is paid and fulfilled, and its customer is told; only its status nobody moves.

# %%
order = customer.post(
    "/orders", {"items": [{"sku": "MUG", "quantity": 2}], "paymentMethod": "tok_visa"}
)
path = f"/orders/{order['orderId']}"
stuck = tour.wait_until(
    lambda: (now := customer.get(path)).get("notification") and now,
    "the e-mail to the customer",
)
rows = tour.rows_of(order["orderId"])
(
    stuck["status"],
    stuck["payment"]["status"],
    "fulfillment" in stuck,
    [row["eventType"] for row in rows],
)

# %%
assert stuck["status"] == "PLACED"

# %% [markdown]
# ## The wrong order
#
# Switch the rule on, and publish copies of the two events, **the later one first**: fulfilment, then payment, then both again.
#
# **Predict** the final status, and what `statusHistory` will hold.
#
# <details><summary>Answer</summary>
#
# `FULFILLED`, and it stays. The history has `PLACED` and `FULFILLED`: the order never was `PAID`, because when that event arrived,
# the order was further already.
#
# </details>

# %%
events.enable_rule(Name=rule, EventBusName=bus)


def publish_again(row):
    """Put a copy of a logged event on the bus."""
    entry = {
        "EventBusName": bus,
        "Source": row["source"],
        "DetailType": row["eventType"],
        "Detail": json.dumps(row["detail"]),
    }
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0


_, paid, fulfilled = rows
publish_again(fulfilled)
tour.wait_until(
    lambda: customer.get(path)["status"] == "FULFILLED", "the status FULFILLED"
)

# %%
for row in (paid, fulfilled, paid):
    publish_again(row)

# %% [markdown]
# Wait until AuditLog has the four copies, and look again.


# %%
def all_in_the_log():
    return len(tour.rows_of(order["orderId"])) == 7


tour.wait_until(all_in_the_log, "the four copies in AuditLog")
now = customer.get(path)
now["status"], [change["status"] for change in now["statusHistory"]]

# %%
assert now["status"] == "FULFILLED"
assert [change["status"] for change in now["statusHistory"]] == ["PLACED", "FULFILLED"]

# %% [markdown]
# Seven rows, three facts: the picture of what was published, and what came of it.

# %%
tour.sequence(tour.rows_of(order["orderId"]), now)

# %% [markdown]
# ## Why it holds
#
# The write has a condition: the status is one of those that the new one may follow. A late event fails it, and that is no error.

# %%
from orders.aws.store import OrdersTable
from orders.choreography import update_status

tour.source(update_status)
tour.source(OrdersTable.advance)

# %% [markdown]
# ## Every order of arrival
#
# Two orders of arrival prove little. Here are all of them: the payment's and the fulfilment's event, each twice, in every order, each
# time invoking the deployed function by hand on an order of its own. The rule rests meanwhile.

# %%
from itertools import permutations

events.disable_rule(Name=rule, EventBusName=bus)
arrivals = sorted(set(permutations("PPFF")))
wish = {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"}
orders = [customer.post("/orders", wish)["orderId"] for _ in arrivals]
len(arrivals)

# %%
trails = [
    tour.wait_until(
        lambda order_id=order_id: len(rows := tour.rows_of(order_id)) == 3 and rows,
        f"order {order_id[:8]}",
    )
    for order_id in orders
]

# %%
functions = boto3.client("lambda")


def arrive(row):
    """Invoke OrderStatusUpdater with one event, as EventBridge would, and wait for it."""
    payload = json.dumps(tour.envelope_of(row))
    answer = functions.invoke(
        FunctionName=stack.function("orderStatusUpdater"), Payload=payload
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


for arrival, (_, payment, fulfillment) in zip(arrivals, trails):
    for letter in arrival:
        arrive({"P": payment, "F": fulfillment}[letter])
ends = [customer.get(f"/orders/{order_id}") for order_id in orders]
{
    "".join(arrival): [change["status"] for change in end["statusHistory"]]
    for arrival, end in zip(arrivals, ends)
}

# %%
assert {end["status"] for end in ends} == {"FULFILLED"}
events.enable_rule(Name=rule, EventBusName=bus)

# %% [markdown]
# ## Break it: an event that is not true
#
# Somebody publishes a `PaymentCompletedEvent` of one cent for the order. **Predict** what happens to its status.
#
# <details><summary>Answer</summary>
#
# Nothing. The order does not bear the event out, so both functions that take it raise, and the dead-letter queue keeps it twice,
# once for each.
#
# </details>

# %%
forged = json.loads(json.dumps(paid["detail"]))
forged["data"]["totalAmount"] = 1
publish_again({**paid, "detail": forged})
letters = [tour.dead_letter_of(order["orderId"]) for _ in range(2)]
sorted((letter.consumer, letter.reason) for letter in letters)

# %%
assert customer.get(path) == now

# %% [markdown]
# ## Exercise 5.1
#
# An order gets its events in this order: fulfilment, payment, payment, fulfilment. Which statuses does its history hold in the end?
# Answer with a list.

# %% tags=["exercise"]
history = []

tour.check("5.1", history)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# history = ["PLACED", "FULFILLED"]
# tour.check("5.1", history)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - A bus keeps no order, so the order of arrival must not matter.
# - The condition on the write is the state machine; a late event fails it and nothing happens.
# - An event that the order does not bear out is no late event: it is kept and reported.
#
# **Next:** [6 · Telling the customer](07_notifying_the_customer.ipynb)
