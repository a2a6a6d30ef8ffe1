# %% [markdown]
# # 4 · Pay once
#
# Every message in this system may arrive twice: the bus, Lambda and SQS all promise "at least once" and no more. A card must not be
# charged twice all the same. In this notebook you send the same event ten times and count the charges.

# %%
import json

import boto3
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## Approved and declined
#
# Two orders, one with a good card, one with a card that the bank declines. Both are *results* of the payment gateway, so both
# become events.

# %%
wish = {"items": [{"sku": "KETTLE", "quantity": 1}], "paymentMethod": "tok_visa"}
good = customer.post("/orders", wish)
bad = customer.post("/orders", {**wish, "paymentMethod": "tok_declined"})
approved, rows = tour.follow(good["orderId"])
declined, rows_of_declined = tour.follow(bad["orderId"])

# %%
tour.tree(rows)

# %%
tour.tree(rows_of_declined)

# %% [markdown]
# The result is stored on the order, with the id of the event that reports it.

# %%
{order["status"]: order["payment"] for order in (approved, declined)}

# %%
assert approved["payment"]["status"] == "COMPLETED"
assert declined["payment"]["reason"] == "card_declined"

# %% [markdown]
# ## The same event, ten times
#
# You place one more order and, while it is still under way, put its `OrderPlacedEvent` on the bus nine times more.
#
# **Predict**: how many payments will the order have in the end? And how many `PaymentCompletedEvent`s will pass?
#
# <details><summary>Answer</summary>
#
# One payment. As for the events: any number from one to ten passes, for every delivery that finds the order still open publishes
# again. But they all are the *same* event, with the same `eventId`.
#
# </details>

# %%
order = customer.post("/orders", wish)
[placed] = tour.wait_until(
    lambda: tour.rows_of(order["orderId"])[:1], "the first event"
)
entry = {
    "EventBusName": stack.outputs["EventBusName"],
    "Source": placed["source"],
    "DetailType": placed["eventType"],
    "Detail": json.dumps(placed["detail"]),
}
answer = boto3.client("events").put_events(Entries=[entry] * 9)
answer["FailedEntryCount"]

# %%
assert answer["FailedEntryCount"] == 0

# %% [markdown]
# AuditLog keeps each publication; ten of them are the order's. The tree draws a fact once and says how often it was published.


# %%
def ten_were_logged():
    rows = tour.rows_of(order["orderId"])
    return (
        rows
        if [row["eventType"] for row in rows].count("OrderPlacedEvent") == 10
        else None
    )


stored, _ = tour.follow(order["orderId"])
rows = tour.wait_until(ten_were_logged, "all ten in the log")
tour.tree(rows)

# %% [markdown]
# However often `PaymentCompletedEvent` passed, it named one payment:

# %%
told = [row["detail"] for row in rows if row["eventType"] == "PaymentCompletedEvent"]
{(detail["data"]["paymentId"], detail["metadata"]["eventId"]) for detail in told}

# %%
assert {detail["data"]["paymentId"] for detail in told} == {
    stored["payment"]["paymentId"]
}
assert {detail["metadata"]["eventId"] for detail in told} == {
    stored["payment"]["eventId"]
}

# %% [markdown]
# And what did the function do? It logs each payment that it stores. Ten deliveries, one line:

# %%
logs = boto3.client("logs")
group = f"/aws/lambda/{stack.function('paymentProcessing')}"


def payments_logged():
    pattern = f'"{order["orderId"]}"'
    lines = logs.filter_log_events(logGroupName=group, filterPattern=pattern)["events"]
    return [line["message"] for line in lines if "The payment is" in line["message"]]


lines = tour.wait_until(payments_logged, "the line in the log")
len(lines)

# %%
assert len(lines) == 1

# %% [markdown]
# The payment provider keeps a ledger of its own: a table that no function but PaymentProcessing may use. It has one row for each idempotency
# key, which is the order's id, and counts how often money moved.

# %%
from orders.aws.dynamodb import from_item


def in_the_ledger(order_id):
    key = {"idempotencyKey": {"S": order_id}}
    row = boto3.client("dynamodb").get_item(
        TableName=stack.outputs["GatewayLedgerTableName"], Key=key, ConsistentRead=True
    )
    return {
        name: from_item(row["Item"])[name] for name in ("state", "charges", "refunds")
    }


in_the_ledger(order["orderId"])

# %%
assert in_the_ledger(order["orderId"]) == {
    "state": "CHARGED",
    "charges": 1,
    "refunds": 0,
}

# %% [markdown]
# ## The step, and the write that decides
#
# The step asks the gateway only where no payment is stored, and hands the order's id along as idempotency key: two deliveries that
# run at the very same time are one charge for the gateway. Then it stores the payment.

# %%
from orders.choreography import take_payment

tour.source(take_payment)

# %% [markdown]
# `if_not_exists` is the whole trick. DynamoDB serializes the writes to one item; the first one sets the payment, every other one
# leaves it as it is. Both get the same item back, and so build the same event from it.

# %%
from orders.aws.store import OrdersTable

tour.source(OrdersTable.record_payment)

# %% [markdown]
# ## Break it: without the condition
#
# A table of your own, and bad luck: ten deliveries at the same time, each storing the payment that it made.
# First with a plain `SET`. **Predict** whose payment wins, and how many were stored.

# %%
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

dynamodb = boto3.client("dynamodb")
scratch = f"scratch-{uuid4().hex[:8]}"
dynamodb.create_table(
    TableName=scratch,
    BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{"AttributeName": "orderId", "AttributeType": "S"}],
    KeySchema=[{"AttributeName": "orderId", "KeyType": "HASH"}],
)
dynamodb.get_waiter("table_exists").wait(TableName=scratch)


def deliver(order_id, expression):
    """One delivery: makes a payment, stores it, and returns the payment that the order has afterwards."""
    written = dynamodb.update_item(
        TableName=scratch,
        Key={"orderId": {"S": order_id}},
        UpdateExpression=expression,
        ExpressionAttributeValues={":payment": {"S": str(uuid4())}},
        ReturnValues="ALL_NEW",
    )
    return written["Attributes"]["payment"]["S"]


def ten_times(expression):
    with ThreadPoolExecutor(10) as pool:
        return set(pool.map(lambda _: deliver(expression, expression), range(10)))


careless, careful = (
    ten_times("SET payment = :payment"),
    ten_times("SET payment = if_not_exists(payment, :payment)"),
)
len(careless), len(careful)

# %% [markdown]
# Ten payments were announced, each for a moment the only one; with the condition there is one, whoever asks.

# %%
assert (len(careless), len(careful)) == (10, 1)
dynamodb.delete_table(TableName=scratch)["TableDescription"]["TableStatus"]

# %% [markdown]
# ## Break it: another amount
#
# What if somebody puts an `OrderPlacedEvent` on the bus that names another amount? **Predict**: charged 1 cent, charged the right
# amount, or not at all?
#
# <details><summary>Answer</summary>
#
# Not at all. The order is the truth, an event only a message: what contradicts the order is raised, tried three times, and kept in
# the dead-letter queue with its reason.
#
# </details>

# %%
forged = json.loads(entry["Detail"])
forged["data"]["totalAmount"] = 1
boto3.client("events").put_events(Entries=[{**entry, "Detail": json.dumps(forged)}])
letter = tour.dead_letter_of(order["orderId"])
letter.consumer, letter.reason

# %%
after, _ = tour.follow(order["orderId"])
assert "totalAmount is 1" in letter.reason
assert after == stored

# %% [markdown]
# ## Change your mind
#
# You order once more, and cancel as soon as the card is charged. So that you are in time, no event reaches Fulfillment meanwhile: its rule
# is disabled for a moment. **Predict**: which events will the order have, and what will the provider's ledger say?
#
# <details><summary>Answer</summary>
#
# `OrderCancelledEvent` and, because the card was charged, `PaymentRefundedEvent`; no `FulfillmentCompletedEvent`, although Fulfillment
# can be reached again. One charge and one refund.
#
# </details>

# %%
import atexit

events, bus = boto3.client("events"), stack.outputs["EventBusName"]
function = boto3.client("lambda").get_function(
    FunctionName=stack.function("fulfillment")
)["Configuration"]["FunctionArn"]
[rule] = events.list_rule_names_by_target(TargetArn=function, EventBusName=bus)[
    "RuleNames"
]
atexit.register(events.enable_rule, Name=rule, EventBusName=bus)
events.disable_rule(Name=rule, EventBusName=bus)

# %%
regretted = customer.post("/orders", wish)
path = f"/orders/{regretted['orderId']}"
tour.wait_until(lambda: "payment" in customer.get(path), "the charge")
cancelled = customer.post(f"{path}/cancellation")
events.enable_rule(Name=rule, EventBusName=bus)
ended, rows = tour.follow(regretted["orderId"])
tour.tree(rows)

# %%
in_the_ledger(regretted["orderId"])

# %%
assert ended["status"] == "REFUNDED"
assert "fulfillment" not in ended
assert in_the_ledger(regretted["orderId"]) == {
    "state": "REFUNDED",
    "charges": 1,
    "refunds": 1,
}

# %% [markdown]
# Two writes decided that, and neither asked the other: the cancellation's requires that there is no fulfilment, the fulfilment's that there is no
# cancellation. DynamoDB serializes them, so one of the two is applied.

# %%
tour.source(OrdersTable.cancel)

# %%
tour.source(OrdersTable.record_fulfillment)

# %% [markdown]
# ## Exercise 4.1
#
# Write a function `facts(rows)` that says how many *different* things happened, however often each was published. Each row has
# its `domainEventId`.


# %% tags=["exercise"]
def facts(rows):
    return len(rows)


tour.check("4.1", facts)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def facts(rows):
#     return len({row["domainEventId"] for row in rows})
#
#
# tour.check("4.1", facts)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - Delivery is at least once; the *effect* is once, because the first write wins and the rest find it.
# - The same fact is always the same event: its id is stored with the result.
# - An event that contradicts the order changes nothing and is kept, with its reason.
#
# **Next:** [5 · Any order of arrival](06_any_order_of_arrival.ipynb)
