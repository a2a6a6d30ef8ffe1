# %% [markdown]
# # 7 · The audit trail
#
# ![Sequence of one order](../docs/sequence.svg)
#
# In a system in which nobody calls anybody, nobody has the whole story. One function reads along: AuditLogger keeps every event. In this
# notebook you read the story of an order from its log alone, and find the order whose story has a hole.

# %%
import atexit

import boto3
import tour
from boto3.dynamodb.conditions import Key

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## Query by order
#
# The log's index `byOrder` has the order's id as partition key and the time as sort key: one query, and the events come in their order.

# %%
wish = {"items": [{"sku": "KETTLE", "quantity": 1}], "paymentMethod": "tok_visa"}
order = customer.post("/orders", wish)
stored, _ = tour.follow(order["orderId"])

log = boto3.resource("dynamodb").Table(stack.outputs["AuditLogTableName"])
rows = log.query(
    IndexName="byOrder", KeyConditionExpression=Key("orderId").eq(order["orderId"])
)["Items"]
[(row["timestamp"], row["eventType"], row["source"]) for row in rows]

# %%
assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)

# %% [markdown]
# ## From cause to effect
#
# Each row names its fact (`domainEventId`) and the fact that led to it (`causationId`). **Predict** the `causationId` of the first event.
#
# <details><summary>Answer</summary>
#
# There is none: no event led to it, but a request. That one's id is the `correlationId`, and every later event carries it on.
#
# </details>

# %%
[
    (row["eventType"], row["domainEventId"][:8], (row.get("causationId") or "-")[:8])
    for row in rows
]

# %%
assert "causationId" not in rows[0]
assert [row["causationId"] for row in rows[1:]] == [
    row["domainEventId"] for row in rows[:-1]
]
assert len({row["correlationId"] for row in rows}) == 1

# %% [markdown]
# That is all that a tree needs:

# %%
tour.tree(rows)

# %% [markdown]
# And all that a sequence diagram needs, but for who moved the status, which the order's own history says:

# %%
tour.sequence(rows, stored)

# %% [markdown]
# ## No row, no arrow
#
# The pictures are not drawn from what should have happened. Leave the payment's row out, and its arrows go; what it led to hangs in the air.

# %%
without = [row for row in rows if row["eventType"] != "PaymentCompletedEvent"]
tour.sequence(without)

# %%
assert "PaymentCompletedEvent" not in tour.sequence(without).text
tour.tree(without)

# %% [markdown]
# ## Who writes it
#
# AuditLogger's whole code, and the step. It keeps events that no model accepts as well: those are the ones that you will want to see.

# %%
from handlers import audit_logger
from orders.choreography import record_event

tour.source(audit_logger)
tour.source(record_event)

# %% [markdown]
# ## Find the order with a hole
#
# You place four orders, and for one of them Fulfillment's rule sleeps. (It is switched on again below, and also if you leave in between.)

# %%
import random

events, bus = boto3.client("events"), stack.outputs["EventBusName"]
arn = boto3.client("lambda").get_function_configuration(
    FunctionName=stack.function("fulfillment")
)["FunctionArn"]
[rule] = events.list_rule_names_by_target(TargetArn=arn, EventBusName=bus)["RuleNames"]
atexit.register(events.enable_rule, Name=rule, EventBusName=bus)

unlucky, order_ids = random.randrange(4), []
for number in range(4):
    if number == unlucky:
        events.disable_rule(Name=rule, EventBusName=bus)
    order_ids.append(customer.post("/orders", wish)["orderId"])
    tour.wait_until(
        lambda: any(
            row["eventType"] == "PaymentCompletedEvent"
            for row in tour.rows_of(order_ids[-1])
        ),
        f"payment {number + 1}",
    )
    events.enable_rule(Name=rule, EventBusName=bus)
for order_id in order_ids[:unlucky] + order_ids[unlucky + 1 :]:
    tour.follow(order_id)

# %% [markdown]
# **Predict** how you can tell the unlucky one from the log alone.
#
# <details><summary>Answer</summary>
#
# It has a payment that led to nothing: no row names the payment's fact as its cause.
#
# </details>


# %%
def holes(rows):
    """The facts that must lead to another and did not."""
    causes = {row.get("causationId") for row in rows}
    goes_on = ("OrderPlacedEvent", "PaymentCompletedEvent")
    return [
        row["eventType"]
        for row in rows
        if row["eventType"] in goes_on and row["domainEventId"] not in causes
    ]


found = {order_id[:8]: holes(tour.rows_of(order_id)) for order_id in order_ids}
found

# %%
[lost] = [order_id for order_id in order_ids if holes(tour.rows_of(order_id))]
assert lost == order_ids[unlucky]
tour.tree(tour.rows_of(lost))

# %% [markdown]
# The reconciler would take it up a minute after it was placed, when its time has come. You can help it along: replay the order's events
# from its own rows, which is what `npm run replay -- --order …` does.

# %%
from operations.replay import replay_order

deliveries = list(replay_order(stack, lost))
healed, rows = tour.follow(lost)
healed["status"], len(deliveries)

# %%
assert healed["status"] == "FULFILLED"
assert holes(rows) == []

# %% [markdown]
# ## Break it: change history
#
# **Predict**: AuditLogger gets an event a second time, with another amount in it, under the same id. What is in the log afterwards?
#
# <details><summary>Answer</summary>
#
# What was there before. The row is put on the condition that there is none, and no role may update or delete.
#
# </details>

# %%
from orders.aws.audit import AuditLogTable
from orders.ports import AuditEntry

first = rows[0]
ids = (
    first["orderId"],
    first["domainEventId"],
    first["correlationId"],
    None,
    first["attempt"],
)
forged = AuditEntry(
    first["eventId"],
    first["timestamp"],
    "RewrittenEvent",
    first["source"],
    *ids,
    detail={"data": {"totalAmount": 1}},
)
again = AuditLogTable(boto3.client("dynamodb"), stack.outputs["AuditLogTableName"]).add(
    forged
)
again

# %%
assert again is False
assert tour.rows_of(lost)[0]["eventType"] == "OrderPlacedEvent"

# %% [markdown]
# ## Exercise 7.1
#
# Write `latency(rows)`: the milliseconds from an order's first event to its last one.


# %% tags=["exercise"]
def latency(rows):
    return 0


tour.check("7.1", latency)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# from datetime import datetime
#
#
# def latency(rows):
#     moments = [datetime.fromisoformat(row["timestamp"]) for row in rows]
#     return round((max(moments) - min(moments)).total_seconds() * 1000)
#
#
# tour.check("7.1", latency)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - One more reader of the bus is enough to have the whole story.
# - `causationId` turns a list of events into a tree, and shows where one is missing.
# - A log that can be changed proves nothing: here a condition lets each row be written once, and no function's role may update or delete one.
#
# **Next:** [8 · Failing and recovering](09_failing_and_recovering.ipynb)
