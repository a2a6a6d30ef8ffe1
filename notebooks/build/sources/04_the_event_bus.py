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
from contextlib import suppress
from uuid import uuid4

import boto3
import tour
from botocore.exceptions import ClientError

stack = tour.connect()
customer = tour.customer()
events, sqs, iam, sts = (boto3.client(name) for name in ("events", "sqs", "iam", "sts"))
bus = stack.outputs["EventBusName"]

# %% [markdown]
# What you make here beside the stack has names of its own that begin with `mine`. It is removed at the end, also if you leave the notebook in
# between; and the next run begins with removing what one has left that was killed.

# %%
mine = f"{bus}-tap-"


def put_back():
    """Remove the rules, queues and roles of this notebook; does no harm where there are none."""
    for rule in events.list_rules(EventBusName=bus, NamePrefix=mine)["Rules"]:
        targets = events.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus)[
            "Targets"
        ]
        if targets:
            events.remove_targets(
                Rule=rule["Name"],
                EventBusName=bus,
                Ids=[target["Id"] for target in targets],
            )
        events.delete_rule(Name=rule["Name"], EventBusName=bus)
    for url in sqs.list_queues(QueueNamePrefix=mine).get("QueueUrls", []):
        with suppress(
            sqs.exceptions.QueueDoesNotExist
        ):  # AWS lists a deleted queue for a minute
            sqs.delete_queue(QueueUrl=url)
    for page in iam.get_paginator("list_roles").paginate():
        for role in [
            role["RoleName"]
            for role in page["Roles"]
            if role["RoleName"].startswith(mine)
        ]:
            for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                iam.delete_role_policy(RoleName=role, PolicyName=policy)
            iam.delete_role(RoleName=role)


atexit.register(put_back)
put_back()

# %% [markdown]
# ## A tap
#
# A tap is a rule of your own that leads every event into a queue of your own. The queue's policy lets this one rule send to it.

# %%
name = f"{mine}{uuid4().hex[:8]}"
rule_arn = events.put_rule(
    Name=name,
    EventBusName=bus,
    EventPattern=json.dumps({"source": [{"prefix": "order-processing."}]}),
)["RuleArn"]
queue_url = sqs.create_queue(QueueName=name)["QueueUrl"]
queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])[
    "Attributes"
]["QueueArn"]
statement = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": queue_arn,
    "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
}
policy = {"Version": "2012-10-17", "Statement": [statement]}
sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": json.dumps(policy)})
events.put_targets(
    Rule=name, EventBusName=bus, Targets=[{"Id": "tap", "Arn": queue_arn}]
)["FailedEntryCount"]

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
order = customer.post(
    "/orders",
    {"items": [{"sku": "GRINDER", "quantity": 1}], "paymentMethod": "tok_visa"},
)
tapped = []


def three_events():
    """Take what is in the queue, until the order's three events are there."""
    messages = sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
    ).get("Messages", [])
    tapped.extend(json.loads(message["Body"]) for message in messages)
    caught = {
        event["detail-type"]: event
        for event in tapped
        if event["detail"]["data"]["orderId"] == order["orderId"]
    }
    return caught if len(caught) == 3 else None


passed = tour.wait_until(three_events, "three events in the tap")
passed["OrderPlacedEvent"]

# %% [markdown]
# The outer part is EventBridge's *envelope*; `detail` is ours: `metadata` says which fact this is and what caused it, `data` what happened.

# %%
facts = {kind: event["detail"]["metadata"] for kind, event in passed.items()}
assert (
    facts["PaymentCompletedEvent"]["causationId"]
    == facts["OrderPlacedEvent"]["eventId"]
)
assert customer.email not in json.dumps(passed)
tour.tree(tour.rows_of(order["orderId"]))

# %% [markdown]
# The class is the contract. The name is EventBridge's `detail-type`, and `preconditions` is what the stored order must have:

# %%
from orders.events import PaymentCompletedEvent

tour.source(PaymentCompletedEvent)

# %% [markdown]
# ## Patterns
#
# A rule's pattern is compared with the event, field by field. You can ask EventBridge whether one matches, without any rule:


# %%
def matches(pattern, event):
    return events.test_event_pattern(
        EventPattern=json.dumps(pattern), Event=json.dumps(event)
    )["Result"]


questions = {
    "a payment": {"source": ["order-processing.payment"]},
    "over 50.00": {"detail": {"data": {"totalAmount": [{"numeric": [">", 5000]}]}}},
    "not replayed": {"replay-name": [{"exists": False}]},
    "a mug": {"detail": {"data": {"items": {"sku": ["MUG"]}}}},
}
answers = {
    question: matches(pattern, passed["OrderPlacedEvent"])
    for question, pattern in questions.items()
}
answers

# %%
assert list(answers.values()) == [False, True, True, False]

# %% [markdown]
# ## Publish by hand
#
# You publish an event with boto3, as OrderService does. First an order is needed that nobody has published yet: a copy of yours, under
# an id of its own, as it was at the beginning.

# %%
orders = boto3.resource("dynamodb").Table(stack.outputs["OrdersTableName"])
item = orders.get_item(Key={"orderId": order["orderId"]})["Item"]
copied = {
    name: value
    for name, value in item.items()
    if name not in ("payment", "fulfillment", "notification")
}
fact = str(uuid4())
copied.update(
    orderId=str(uuid4()),
    status="PLACED",
    statusHistory=[{**item["statusHistory"][0], "eventId": fact}],
)
orders.put_item(Item=copied)

detail = json.loads(json.dumps(passed["OrderPlacedEvent"]["detail"]))
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
from orders.aws.bus import EventBus

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
    customer.post(
        "/orders", {"items": [{"sku": sku, "quantity": 1}], "paymentMethod": "tok_visa"}
    )
    for sku in ("MUG", "KETTLE")
]
wanted = {order["orderId"] for order in placed}
revenue = {}


def all_paid():
    """The consumer: one payment counts once, however often its event arrives."""
    messages = sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
    ).get("Messages", [])
    for event in (json.loads(message["Body"]) for message in messages):
        if event["detail-type"] == "PaymentCompletedEvent":
            revenue[event["detail"]["data"]["paymentId"]] = event["detail"]["data"]
    for message in messages:
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return wanted <= {data["orderId"] for data in revenue.values()}


tour.wait_until(all_paid, "both payments")
sum(data["totalAmount"] for data in revenue.values() if data["orderId"] in wanted)

# %%
assert (
    sum(data["totalAmount"] for data in revenue.values() if data["orderId"] in wanted)
    == 1400 + 4950
)

# %% [markdown]
# ## Break it: who may say so?
#
# You may publish what you like, as an administrator. The functions may not: each one's role says which source and which detail types.

# %%
from tools import topology

functions = boto3.client("lambda")
publishers = {}
for function in topology.functions():
    role = functions.get_function_configuration(FunctionName=stack.function(function))[
        "Role"
    ].rpartition("/")[2]
    [policy_name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    publishers[function] = iam.get_role_policy(RoleName=role, PolicyName=policy_name)[
        "PolicyDocument"
    ]
{
    function: [
        part["Condition"]["ForAllValues:StringEquals"]
        for part in document["Statement"]
        if part["Action"] == "events:PutEvents"
    ]
    for function, document in publishers.items()
}

# %% [markdown]
# **Predict**: could Fulfillment, by a bug or taken over, publish that an order was paid?
#
# <details><summary>Answer</summary>
#
# No. IAM judges a PutEvents call by the sources and detail types of all its entries, and denies it: `AccessDeniedException`. Its own event
# it may publish, even twice.
#
# </details>
#
# You try it. Only Lambda may take on Fulfillment's role, so you make a role of your own with the very same policy, and take on that one.

# %%
me = sts.get_caller_identity()["Account"]
trust = {"Effect": "Allow", "Principal": {"AWS": me}, "Action": "sts:AssumeRole"}
role_arn = iam.create_role(
    RoleName=name,
    AssumeRolePolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [trust]}
    ),
)["Role"]["Arn"]
same = json.dumps(publishers["fulfillment"])
iam.put_role_policy(RoleName=name, PolicyName="same", PolicyDocument=same)[
    "ResponseMetadata"
]["HTTPStatusCode"]


# %%
def published_as_fulfillment(event):
    """Publish an event again, under the role; True, or the code of the error."""
    try:
        keys = sts.assume_role(RoleArn=role_arn, RoleSessionName="reader")[
            "Credentials"
        ]
        restricted = boto3.client(
            "events",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )
        entry = {
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Detail": json.dumps(event["detail"]),
        }
        return (
            restricted.put_events(Entries=[{**entry, "EventBusName": bus}])[
                "FailedEntryCount"
            ]
            == 0
        )
    except ClientError as error:
        return error.response["Error"]["Code"]


tour.wait_until(
    lambda: published_as_fulfillment(passed["FulfillmentCompletedEvent"]) is True,
    "the new role, which AWS spreads first",
)
published_as_fulfillment(passed["PaymentCompletedEvent"])

# %%
assert published_as_fulfillment(passed["PaymentCompletedEvent"]) is not True

# %% [markdown]
# What did the event do that you published once more? It was logged, and nothing else: the order had ended.

# %%
twice = tour.wait_until(
    lambda: rows if len(rows := tour.rows_of(order["orderId"])) == 4 else None,
    "the fourth row of the first order",
)
tour.tree(twice)

# %%
assert [row["eventType"] for row in twice].count("PaymentCompletedEvent") == 1
assert len({row["domainEventId"] for row in twice}) == 3

# %% [markdown]
# ## Put it back
#
# Tap and role go; nobody will have noticed that they were there.

# %%
put_back()
assert not events.list_rules(EventBusName=bus, NamePrefix=mine)["Rules"]
assert name not in [
    role["RoleName"]
    for page in iam.get_paginator("list_roles").paginate()
    for role in page["Roles"]
]

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
# **Next:** [4 · Pay once](05_pay_once.ipynb)
