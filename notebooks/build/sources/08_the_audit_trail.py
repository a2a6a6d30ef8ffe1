# %% [markdown]
# # 8 · The audit trail
#
# ![The system, with AuditLogger and AuditLog highlighted](../docs/pictures/08_the_audit_trail.svg)
#
# In this notebook you read an order's history from its log, find the order whose history has a
# hole, and repair it.

# %%
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The idea
#
# No function knows the whole flow, so none can say what happened to an order. But every event
# passes the bus, and so one more consumer is enough: AuditLogger stores each event. Three ids
# make a history of the rows:
#
# - `domainEventId` identifies the fact. It's the same for every publication of the fact.
# - `causationId` is the fact that led to this one.
# - The **correlation id** is the same for all events of one request.
#
# ## Query by order
#
# AuditLog's key is EventBridge's event id. Its index `byOrder` has the order's id as partition
# key and the time as sort key, so one query returns an order's events in order.
# ([Global secondary indexes](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html))

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
# `timestamp` says when the fact occurred, `loggedAt` when AuditLogger stored the row. The first
# is part of the event and can be old: a copy that you publish tomorrow has the same one.
#
# ## From cause to effect
#
# **Predict** the `causationId` of the first event.
#
# <details><summary>Answer</summary>
#
# It has none. No event led to it, but a request did. The id of that request is the correlation
# id, which every later event carries.
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
# That's enough for a tree. The statuses and the e-mail come from the order:

# %%
tour.tree(rows, stored)

# %% [markdown]
# ## A picture is only as good as its evidence
#
# The pictures in these notebooks aren't drawn from what should have happened. Leave the
# payment's row out, and the picture loses its arrow; the fulfilment's cause is missing.

# %%
without = [row for row in rows if row["eventType"] != "PaymentCompletedEvent"]
tour.tree(without)

# %%
tour.sequence(without)

# %% [markdown]
# ## Who writes it
#
# AuditLogger also stores events that no model accepts: those are the ones that you will want to
# look at.

# %%
from handlers import audit_logger
from orders.choreography import record_event

tour.source(audit_logger)
tour.source(record_event)

# %% [markdown]
# ## Find the order with a hole
#
# You place four orders. For one of them, chosen at random, Fulfillment's events are held back.

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
# **Predict** how you can recognize that order from the log alone.
#
# <details><summary>Answer</summary>
#
# It has a payment that led to nothing: no row names the payment's fact as its cause.
#
# </details>


# %%
def holes(rows):
    """The events that must lead to another one, and did not."""
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
tour.expect("it's the one that was held back", broken == order_ids[unlucky])
tour.tree(tour.rows_of(broken), tour.order(broken))

# %% [markdown]
# The Reconciler would repair it by itself a minute after the order was placed. You don't need to
# wait: replay the order's events from its own rows, as `npm run replay -- --order` does.

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
# You try to change a row in two ways. First, AuditLogger gets an event a second time under the
# same id, with another content. Then you update the row yourself, with AuditLogger's rights.
# **Predict** what each attempt does.
#
# <details><summary>Answer</summary>
#
# Neither changes the row. The first one succeeds and does nothing: the row is written on the
# condition that there is none. The second one is denied: no function's role may update or delete
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
# The check places twenty orders, and then changes some of them in the table: an amount, a
# quantity, a card. The log wasn't touched. Write `tampered(order_ids)`, which returns the ids of
# those orders. `tour.order` and `tour.rows_of` read both sides.


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
# - One more consumer of the bus is enough to have the whole history.
# - `causationId` turns a list of events into a tree, and shows where one is missing.
# - A log that can be changed proves nothing: each row is written once, and no role may change it.
# - The order's item can be changed, and the log shows it.
#
# **Next:** [9 · Failing and recovering](09_failing_and_recovering.ipynb) takes the payment
# gateway down.
