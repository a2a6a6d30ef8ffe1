# %% [markdown]
# # 8 · The audit trail
#
# ![The system, with AuditLogger and AuditLog highlighted](../docs/pictures/08_the_audit_trail.svg)
#
# In this notebook you read an order's history from the audit log, find an order whose history
# has a hole, and repair it.

# %%
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The idea
#
# No function knows the whole flow, so none can say what happened to an order. But every event
# passes through the bus, so one more consumer is enough: AuditLogger stores each event as a
# row. Three ids turn the rows into a history:
#
# - `domainEventId` identifies the *fact* that the event reports. A fact happens once, and keeps
#   its id when its event is published again.
# - `causationId` is the id of the fact that led to this one.
# - `correlationId`, the **correlation id**, is the same for all events that a request led to.
#
# ## Query by order
#
# AuditLog's partition key is EventBridge's event id. Its index `byOrder` has the order's id as
# its partition key and the time as its sort key, so one query returns an order's events, oldest
# first. ([Global secondary
# indexes](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html))

# %%
import boto3
from boto3.dynamodb.conditions import Key

wish = {"items": [{"sku": "KETTLE", "quantity": 1}], "paymentMethod": "tok_visa"}
order_id = customer.post("/orders", wish)["orderId"]
stored, _ = tour.follow(order_id)
audit_log = boto3.resource("dynamodb").Table(stack.outputs["AuditLogTableName"])
rows = audit_log.query(
    IndexName="byOrder", KeyConditionExpression=Key("orderId").eq(order_id)
)["Items"]
tour.table(rows, "eventType", "source", "timestamp", "loggedAt")

# %% [markdown]
# `timestamp` says when the fact occurred, and `loggedAt` says when AuditLogger stored the row.
# The timestamp is part of the event: a copy that you publish tomorrow has the same one.
#
# ## From cause to effect
#
# **Predict** the `causationId` of the first event.
#
# <details><summary>Answer</summary>
#
# It has none: it was caused by a request, not by an event. The id of that request is the
# correlation id, which all of the order's events carry.
#
# </details>

# %%
tour.table(
    {
        "event": row["eventType"],
        "fact": row["domainEventId"][:8],
        "caused by": row.get("causationId", "")[:8],
        "correlation id": row["correlationId"],
    }
    for row in rows
)

# %%
tour.expect("the first event has no cause", "causationId" not in rows[0])
tour.expect(
    "each later event was caused by the one before",
    [row["causationId"] for row in rows[1:]]
    == [row["domainEventId"] for row in rows[:-1]],
)

# %% [markdown]
# That's enough to draw a tree. The statuses and the e-mail come from the stored order:

# %%
tour.tree(rows, stored)

# %% [markdown]
# ## A picture is only as good as its evidence
#
# The pictures in these notebooks show what was recorded, not what should have happened. Leave
# out the payment's row, and the payment is gone from the pictures, and so is the cause of the
# fulfilment:

# %%
without = [row for row in rows if row["eventType"] != "PaymentCompletedEvent"]
tour.tree(without)

# %%
tour.sequence(without)

# %% [markdown]
# ## How a row is written
#
# AuditLogger stores even events that fail validation: those are the ones that you'll want to
# look at.

# %%
from handlers import audit_logger
from orders.choreography import record_event

tour.source(audit_logger)
tour.source(record_event)

# %% [markdown]
# ## Find the order with a hole
#
# You place four orders. While one of them, chosen at random, is processed, Fulfillment gets no
# events.

# %%
import random

unlucky, order_ids = random.randrange(4), []


def is_paid():
    rows = tour.rows_of(order_ids[-1])
    return any(row["eventType"] == "PaymentCompletedEvent" for row in rows)


for number in range(4):
    if number == unlucky:
        with tour.rules_off("fulfillment"):
            order_ids.append(customer.post("/orders", wish)["orderId"])
            tour.wait_until(is_paid, f"the payment of order {number + 1}")
    else:
        order_ids.append(customer.post("/orders", wish)["orderId"])
        tour.follow(order_ids[-1])

# %% [markdown]
# **Predict** how you can recognize that order from the audit log alone.
#
# <details><summary>Answer</summary>
#
# Its payment led to nothing: no row has the payment's fact as its cause.
#
# </details>


# %%
def holes(rows):
    """The events that should have led to another one, and didn't."""
    causes = {row.get("causationId") for row in rows}
    leads_on = {"OrderPlacedEvent", "PaymentCompletedEvent"}
    return [
        row["eventType"]
        for row in rows
        if row["eventType"] in leads_on and row["domainEventId"] not in causes
    ]


found = {each: holes(tour.rows_of(each)) for each in order_ids}
tour.table(
    {"order": each[:8], "led to nothing": kinds} for each, kinds in found.items()
)

# %%
[broken] = [each for each, kinds in found.items() if kinds]
tour.expect("it's the order that Fulfillment missed", broken == order_ids[unlucky])
tour.tree(tour.rows_of(broken), tour.order(broken))

# %% [markdown]
# The Reconciler, which looks for orders that are stuck (notebook 10), would repair it about a
# minute after it was placed. You don't have to wait: you can *replay* the order's events, that
# is, deliver the events in its rows again. `npm run replay -- --order` does the same:

# %%
from operations.replay import replay_order

deliveries = list(replay_order(stack, broken))
repaired, rows = tour.follow(broken)
tour.values(status=repaired["status"], deliveries=len(deliveries))

# %%
tour.expect("the hole is closed", holes(rows) == [])

# %% [markdown]
# ## Break it: change history
#
# You try to change a row in two ways. First, you invoke AuditLogger with an event that it has
# already stored: the same id, but a different amount. Then you try to update the row yourself,
# with AuditLogger's permissions. **Predict** what each attempt does.
#
# <details><summary>Answer</summary>
#
# Neither changes the row. The first one succeeds and does nothing: a row is written only if
# there is none with its key. The second one is denied: no function's role may update or delete
# a row.
#
# </details>

# %%
import json

row = rows[0]
detail = {**row["detail"], "data": {**row["detail"]["data"], "totalAmount": 1}}
forged = tour.envelope_of({**row, "detail": detail})
response = boto3.client("lambda").invoke(
    FunctionName=stack.function("auditLogger"), Payload=json.dumps(forged)
)
tour.expect("the invocation succeeded", "FunctionError" not in response)
tour.expect("and the row is as it was", tour.rows_of(broken)[0] == row)

# %%
from botocore.exceptions import ClientError

restricted = tour.rights_of("auditLogger").resource("dynamodb")
key = {"eventId": row["eventId"], "timestamp": row["timestamp"]}
try:
    restricted.Table(audit_log.name).update_item(
        Key=key,
        UpdateExpression="SET eventType = :new",
        ExpressionAttributeValues={":new": "RewrittenEvent"},
    )
    outcome = "updated"
except ClientError as error:
    outcome = error.response["Error"]["Code"]
tour.expect(
    "an update is denied to AuditLogger itself", outcome == "AccessDeniedException"
)
tour.expect("and the row is as it was", tour.rows_of(broken)[0] == row)

# %% [markdown]
# ## Lab 8.1: find the tampered orders
#
# The check places twenty orders, and then changes some of them in the table Orders: an amount,
# a quantity, a card. It doesn't touch the audit log. Write `tampered(order_ids)`, which returns
# the ids of the changed orders. `tour.order` reads the table, and `tour.rows_of` reads the log.


# %% tags=["exercise"]
def tampered(order_ids):
    return []


tour.check("8.1", tampered)

# %% [markdown]
# <details><summary>Hint</summary>
#
# The `OrderPlacedEvent` of each order says how it was placed: `items`, `totalAmount`,
# `paymentMethod`.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def tampered(order_ids):
#     found = []
#     for order_id in order_ids:
#         stored = tour.order(order_id)
#         placed = tour.rows_of(order_id)[0]["detail"]["data"]
#         names = ("items", "totalAmount", "currency", "paymentMethod")
#         if any(stored[name] != placed[name] for name in names):
#             found.append(order_id)
#     return found
#
#
# tour.check("8.1", tampered)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - One consumer that gets every event is enough to record the whole history.
# - `causationId` turns a list of events into a tree, and shows where an event is missing.
# - A log that can be changed proves nothing. So each row is written once, and no function may
#   change it.
# - An order's item in the table can be changed; comparing it with the log reveals that.
#
# **Next:** [9 · Failing and recovering](09_failing_and_recovering.ipynb) takes the payment
# gateway down.
