# %% [markdown]
# # 5 · Pay once
#
# ![The system, with PaymentProcessing and the payment provider highlighted](../docs/pictures/05_pay_once.svg)
#
# In this notebook you send the same event ten times and count the charges. Then, on a table of
# your own, you take away what protects the payment, and count again.

# %%
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The idea
#
# The bus, Lambda and SQS deliver **at least once**. So PaymentProcessing can get the same event
# twice, even at the same moment. The card must still be charged only once.
#
# An operation that you can repeat without changing the result is **idempotent**. Two things
# make the payment idempotent:
#
# - The **idempotency key**: each charge carries the order's id. When a second charge arrives
#   with the same key, the payment provider returns the result of the first one.
# - A **conditional write**: the first result is stored on the order. Every later delivery finds
#   it there, and publishes the same event again if the order is still open.
#
# AWS's own page: [Making retries safe with idempotent
# APIs](https://docs.aws.amazon.com/wellarchitected/latest/reliability-pillar/rel_prevent_interaction_failure_idempotent.html).
#
# ## Approved and declined
#
# A declined card isn't an error. It's a *result*, so it becomes an event, too.

# %%
wish = {"items": [{"sku": "KETTLE", "quantity": 1}], "paymentMethod": "tok_visa"}
good = customer.post("/orders", wish)["orderId"]
bad = customer.post("/orders", {**wish, "paymentMethod": "tok_declined"})["orderId"]
approved, rows = tour.follow(good)
declined, rows_of_declined = tour.follow(bad)
tour.tree(rows, approved)

# %%
tour.tree(rows_of_declined, declined)

# %% [markdown]
# The order stores the result, with the id of the event that reports it:

# %%
columns = ("status", "paymentId", "reason", "eventId")
tour.table([approved["payment"], declined["payment"]], *columns)

# %% [markdown]
# ## The provider's ledger
#
# How do you know that a card was charged once? Not from the order: it has room for only one
# payment. The simulated payment provider keeps its own ledger, in a table that only
# PaymentProcessing may use. For each order it counts the requests that it got, the charges and
# the refunds.

# %%
tour.table(
    {"order": each["status"], **tour.ledger(each["orderId"])}
    for each in (approved, declined)
)

# %% [markdown]
# ## The same event, ten times
#
# You place one more order. As soon as its `OrderPlacedEvent` is in the audit log, you publish
# the event nine more times. **Predict**: how many charges will the ledger have? And how many
# `PaymentCompletedEvent`s will the audit log have?
#
# <details><summary>Answer</summary>
#
# One charge. The number of events can be anything from one to ten, because each delivery that
# finds the order still open publishes again. They are all the *same* event, with the same
# `metadata.eventId`.
#
# </details>

# %%
import json

import boto3

order_id = customer.post("/orders", wish)["orderId"]
[placed] = tour.wait_until(lambda: tour.rows_of(order_id)[:1], "the first event")
entry = {
    "EventBusName": stack.outputs["EventBusName"],
    "Source": placed["source"],
    "DetailType": placed["eventType"],
    "Detail": json.dumps(placed["detail"]),
}
response = boto3.client("events").put_events(Entries=[entry] * 9)
tour.expect("all nine were accepted", response["FailedEntryCount"] == 0)


# %%
def kinds():
    return [row["eventType"] for row in tour.rows_of(order_id)]


stored, _ = tour.follow(order_id)
tour.wait_until(
    lambda: kinds().count("OrderPlacedEvent") == 10, "all ten in the audit log"
)
rows = tour.rows_of(order_id)
tour.tree(rows, stored)

# %%
tour.values(**tour.ledger(order_id))

# %%
tour.expect("the card was charged once", tour.ledger(order_id)["charges"] == 1)
paid = [row for row in rows if row["eventType"] == "PaymentCompletedEvent"]
tour.expect(
    "every PaymentCompletedEvent reports the same fact",
    {row["domainEventId"] for row in paid} == {stored["payment"]["eventId"]},
)

# %% [markdown]
# If `requests` is more than one, several deliveries called the provider at the same time, and
# the idempotency key kept it at one charge.
#
# ## The step, and the write that decides

# %%
from orders.choreography import take_payment

tour.source(take_payment)

# %%
from orders.aws.store import OrdersTable

tour.source(OrdersTable.record_payment)

# %% [markdown]
# `if_not_exists` decides. DynamoDB serializes the writes to one item: the first one stores its
# payment, and every later one leaves that payment as it is. All of them get the same item back,
# so they build the same event from it. ([Update
# expressions](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html))
#
# ## Break it: without the condition
#
# Now take the protection away. You create a table of your own and simulate ten deliveries at
# the same time, each of which tries to store its own payment. `deliver` returns the payment
# that the order has right after the write.

# %%
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

dynamodb, scratch = boto3.client("dynamodb"), tour.new_name()
dynamodb.create_table(
    TableName=scratch,
    BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{"AttributeName": "orderId", "AttributeType": "S"}],
    KeySchema=[{"AttributeName": "orderId", "KeyType": "HASH"}],
)
dynamodb.get_waiter("table_exists").wait(TableName=scratch)


# %%
def deliver(order_id, expression):
    written = dynamodb.update_item(
        TableName=scratch,
        Key={"orderId": {"S": order_id}},
        UpdateExpression=expression,
        ExpressionAttributeValues={":payment": {"S": str(uuid4())}},
        ReturnValues="ALL_NEW",
    )
    return written["Attributes"]["payment"]["S"]


def ten_times(order_id, expression):
    with ThreadPoolExecutor(10) as pool:
        return set(pool.map(lambda _: deliver(order_id, expression), range(10)))


# %% [markdown]
# **Predict** how many different payments the ten deliveries return, with a plain `SET` and with
# `if_not_exists`.
#
# <details><summary>Answer</summary>
#
# Ten with the plain `SET`: each delivery sees its own payment, and would publish it. One with
# `if_not_exists`.
#
# </details>

# %%
plain = ten_times("first", "SET payment = :payment")
careful = ten_times("second", "SET payment = if_not_exists(payment, :payment)")
tour.values(plain_SET=len(plain), with_if_not_exists=len(careful))

# %%
tour.expect("only if_not_exists keeps it at one", (len(plain), len(careful)) == (10, 1))

# %% [markdown]
# ## Break it: another amount
#
# Your order has been paid. Now someone publishes its `OrderPlacedEvent` again, with an amount
# of one cent. **Predict**: is the card charged one cent, charged the full amount again, or not
# charged again?
#
# <details><summary>Answer</summary>
#
# It isn't charged again. The stored order is the truth, and an event is only a message. When an
# event contradicts the order, the function raises an error. Lambda tries three times, and then
# sends the event to the *dead-letter queue*, which keeps it with the reason (notebook 9).
#
# </details>

# %%
before = tour.ledger(order_id)
tour.publish(placed, totalAmount=1)
dead_letter = tour.dead_letter_of(order_id)
tour.values(consumer=dead_letter.consumer, reason=dead_letter.reason)

# %%
tour.expect("the reason names the amount", "totalAmount is 1" in dead_letter.reason)
tour.expect("the provider wasn't called", tour.ledger(order_id) == before)

# %% [markdown]
# ## Lab 5.1: refund once
#
# Two operators press "Refund" at the same moment, and each press writes a refund to the order.
# Write the update expression that lets only the first refund win; `:refund` is the new one. The
# check applies it to one order from ten threads, on a table of its own.

# %% tags=["exercise"]
expression = "SET refund = :refund"

tour.check("5.1", expression)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# expression = "SET refund = if_not_exists(refund, :refund)"
# tour.check("5.1", expression)
# ```
#
# </details>

# %% [markdown]
# ## Clean up

# %%
tour.remove_mine()

# %% [markdown]
# ## Recap
#
# - An event is delivered at least once, but its *effect* happens once, because the first write
#   wins and later deliveries find its result.
# - An idempotency key protects the call to the provider, and a conditional write protects the
#   order.
# - The same fact is always the same event: its id is stored with the result.
# - An event that contradicts the order changes nothing, and is kept with its reason.
#
# **Next:** [6 · Any order of arrival](06_any_order_of_arrival.ipynb) publishes events in the
# wrong order.
