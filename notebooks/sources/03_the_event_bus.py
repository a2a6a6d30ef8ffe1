# %% [markdown]
# # 3 · The event bus
#
# ![How an order travels](../docs/architecture.svg)
#
# Whoever publishes an event does not know who reads it. So a new reader changes nothing for anybody. In this notebook you become one:
# you tap the bus, publish events with boto3, and write a consumer of your own.

# %%
import atexit
import json
from uuid import uuid4

import boto3
import tour

stack = tour.connect()
customer = tour.customer()
events, sqs = boto3.client("events"), boto3.client("sqs")
bus = stack.outputs["EventBusName"]

# %% [markdown]
# ## A tap
#
# A tap is a rule of your own that leads every event into a queue of your own. The queue's policy lets this one rule send to it.
# (Both are removed at the end, and also if you leave the notebook in between.)

# %%
name = f"tap-{uuid4().hex[:8]}"
rule_arn = events.put_rule(
    Name=name, EventBusName=bus, EventPattern=json.dumps({"source": [{"prefix": "order-processing."}]})
)["RuleArn"]
queue_url = sqs.create_queue(QueueName=name)["QueueUrl"]
queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
statement = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": queue_arn,
    "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
}
policy = {"Version": "2012-10-17", "Statement": [statement]}
sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": json.dumps(policy)})
events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "tap", "Arn": queue_arn}])["FailedEntryCount"]


# %%
def remove_tap():
    """Take the tap away; once is enough, twice does no harm."""
    if any(rule["Name"] == name for rule in events.list_rules(EventBusName=bus, NamePrefix=name)["Rules"]):
        events.remove_targets(Rule=name, EventBusName=bus, Ids=["tap"])
        events.delete_rule(Name=name, EventBusName=bus)
        sqs.delete_queue(QueueUrl=queue_url)


atexit.register(remove_tap)

# %% [markdown]
# ## What an event looks like
#
# **Predict**: an order is placed and paid. Will the customer's e-mail address be in the events?
#
# <details><summary>Answer</summary>
#
# No. The bus, its archive and the audit log are read by many and kept for long. Who needs the address, Notification, reads it from the
# order.
#
# </details>

# %%
order = customer.post("/orders", {"items": [{"sku": "GRINDER", "quantity": 1}], "paymentMethod": "tok_visa"})
tapped = []


def three_events():
    """Take what is in the queue, until the order's three events are there."""
    messages = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
    tapped.extend(json.loads(message["Body"]) for message in messages)
    mine = {event["detail-type"]: event for event in tapped if event["detail"]["data"]["orderId"] == order["orderId"]}
    return mine if len(mine) == 3 else None


mine = tour.wait_until(three_events, "three events in the tap")
mine["OrderPlacedEvent"]

# %% [markdown]
# The outer part is EventBridge's *envelope*; `detail` is ours: `metadata` says which fact this is and what caused it, `data` what happened.

# %%
assert customer.email not in json.dumps(mine)
assert (
    mine["PaymentCompletedEvent"]["detail"]["metadata"]["causationId"]
    == mine["OrderPlacedEvent"]["detail"]["metadata"]["eventId"]
)
tour.tree(tour.rows_of(order["orderId"]))

# %% [markdown]
# The class is the contract. The name is EventBridge's `detail-type`, and `facts` is what the order must bear out:

# %%
from orders.events import PaymentCompletedEvent

tour.source(PaymentCompletedEvent)

# %% [markdown]
# ## Patterns
#
# A rule's pattern is compared with the event, field by field. You can ask EventBridge whether one matches, without any rule:


# %%
def matches(pattern, event):
    return events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))["Result"]


questions = {
    "a payment": {"source": ["order-processing.payment"]},
    "over 50.00": {"detail": {"data": {"totalAmount": [{"numeric": [">", 5000]}]}}},
    "not replayed": {"replay-name": [{"exists": False}]},
    "a mug": {"detail": {"data": {"items": {"sku": ["MUG"]}}}},
}
{name: matches(pattern, mine["OrderPlacedEvent"]) for name, pattern in questions.items()}

# %%
assert [matches(pattern, mine["OrderPlacedEvent"]) for pattern in questions.values()] == [False, True, True, False]

# %% [markdown]
# ## Publish by hand
#
# You publish an event with boto3, as OrderService does. First an order is needed that nobody has published yet: a copy of yours, under
# an id of its own, as it was at the beginning.

# %%
orders = boto3.resource("dynamodb").Table(stack.outputs["OrdersTableName"])
item = orders.get_item(Key={"orderId": order["orderId"]})["Item"]
copied = {name: value for name, value in item.items() if name not in ("payment", "fulfillment", "notification")}
fact = str(uuid4())
copied.update(orderId=str(uuid4()), status="PLACED", statusHistory=[{**item["statusHistory"][0], "eventId": fact}])
orders.put_item(Item=copied)

detail = json.loads(json.dumps(mine["OrderPlacedEvent"]["detail"]))
detail["data"]["orderId"] = copied["orderId"]
detail["metadata"]["eventId"] = fact
entry = {
    "EventBusName": bus,
    "Source": "order-processing.orders",
    "DetailType": "OrderPlacedEvent",
    "Detail": json.dumps(detail),
}
answer = events.put_events(Entries=[entry])
answer["FailedEntryCount"], answer["Entries"]

# %% [markdown]
# Look at `FailedEntryCount`: PutEvents can succeed as a call and fail for an entry. The system's own publisher does:

# %%
from orders.bus import EventBus

tour.source(EventBus.publish)

# %%
stored, rows = tour.follow(copied["orderId"])
tour.sequence(rows, stored)

# %%
assert stored["status"] == "FULFILLED"

# %% [markdown]
# ## A consumer of your own
#
# Somebody in the company wants to know the day's revenue. They need nobody's permission and nobody's code: they read the tap.

# %%
placed = [
    customer.post("/orders", {"items": [{"sku": sku, "quantity": 1}], "paymentMethod": "tok_visa"})
    for sku in ("MUG", "KETTLE")
]
wanted = {order["orderId"] for order in placed}
revenue = {}


def all_paid():
    """The consumer: one payment counts once, however often its event arrives."""
    messages = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
    for event in (json.loads(message["Body"]) for message in messages):
        if event["detail-type"] == "PaymentCompletedEvent":
            revenue[event["detail"]["data"]["paymentId"]] = event["detail"]["data"]
    return wanted <= {data["orderId"] for data in revenue.values()}


tour.wait_until(all_paid, "both payments")
sum(data["totalAmount"] for data in revenue.values() if data["orderId"] in wanted)

# %%
assert sum(data["totalAmount"] for data in revenue.values() if data["orderId"] in wanted) == 1400 + 4950

# %% [markdown]
# ## Break it: who may say so?
#
# You may publish what you like, as an administrator. The functions may not: each role names the source and the detail types that it may
# publish. **Predict**: could Fulfillment, by a bug or taken over, publish that an order was paid?

# %%
iam = boto3.client("iam")
role = (
    boto3.client("lambda")
    .get_function_configuration(FunctionName=stack.function("fulfillment"))["Role"]
    .rpartition("/")[2]
)
[policy_name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
statements = iam.get_role_policy(RoleName=role, PolicyName=policy_name)["PolicyDocument"]["Statement"]
[publish] = [statement for statement in statements if "events:PutEvents" in statement["Action"]]
publish["Condition"]

# %%
assert "FulfillmentCompletedEvent" in json.dumps(publish["Condition"])
assert "PaymentCompletedEvent" not in json.dumps(publish["Condition"])

# %% [markdown]
# <details><summary>Answer</summary>
#
# No. IAM judges each entry of a PutEvents call by its source and its detail type, and would deny it.
#
# </details>
#
# ## Put it back
#
# The tap goes; nobody will have noticed that it was there.

# %%
remove_tap()
assert name not in [rule["Name"] for rule in events.list_rules(EventBusName=bus)["Rules"]]

# %% [markdown]
# ## Exercise 3.1
#
# Write a pattern that takes the payments that failed for want of money (`reason` is `insufficient_funds`), and nothing else.

# %% tags=["exercise"]
pattern = {}

tour.check("3.1", pattern)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# pattern = {"detail-type": ["PaymentFailedEvent"], "detail": {"data": {"reason": ["insufficient_funds"]}}}
# tour.check("3.1", pattern)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - A reader needs a rule and a target; the writers do not change and do not know.
# - A pattern is data: it can be tested against an event before anything is deployed.
# - Who may publish what is the roles' business, entry by entry.
#
# **Next:** [4 · Pay once](04_pay_once.ipynb)
