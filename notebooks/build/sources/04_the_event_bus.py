# %% [markdown]
# # 4 · The event bus
#
# ![The system, with the event bus and its publishers highlighted](../docs/pictures/04_the_event_bus.svg)
#
# In this notebook you connect a queue of your own to the bus, read the events that arrive,
# write a consumer, and try to publish an event that a function isn't allowed to publish.

# %%
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The idea
#
# A publisher doesn't know its consumers. So adding a consumer changes nothing else in the
# system: it needs a rule and a target, and no other part is deployed again.
#
# EventBridge delivers each event **at least once** to each target: usually once, sometimes more
# often, and in no particular order. Every consumer has to cope with that; notebooks 5 and 6
# show how. ([How EventBridge retries
# delivery](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html))
#
# ## A queue on the bus
#
# First, create a rule that matches every event of this system. Whatever you create gets a name
# from `tour.new_name()`, so that `tour` can remove it: in the clean-up below, or when the
# notebook's kernel stops.

# %%
import json

import boto3

events, sqs = boto3.client("events"), boto3.client("sqs")
name, bus = tour.new_name(), stack.outputs["EventBusName"]
rule_arn = events.put_rule(
    Name=name,
    EventBusName=bus,
    EventPattern=json.dumps({"source": [{"prefix": "order-processing."}]}),
)["RuleArn"]

# %% [markdown]
# Then create an SQS queue. Its policy allows only this rule to send messages to it:

# %%
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
policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
added = sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})

# %% [markdown]
# Finally, make the queue the rule's target:

# %%
target = {"Id": "queue", "Arn": queue_arn}
response = events.put_targets(Rule=name, EventBusName=bus, Targets=[target])
tour.expect("the target was accepted", response["FailedEntryCount"] == 0)

# %% [markdown]
# ## What an event looks like
#
# **Predict**: an order is placed and paid. Is the customer's e-mail address in the events?
#
# <details><summary>Answer</summary>
#
# No. Any consumer on the bus can read an event, and the bus's archive and the audit log keep it
# for a long time. Notification needs the address, and reads it from the order.
#
# </details>

# %%
wish = {"items": [{"sku": "GRINDER", "quantity": 1}], "paymentMethod": "tok_visa"}
order = customer.post("/orders", wish)
received = {}


def three_events():
    """Receive until the queue has delivered the order's three events."""
    messages = sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
    )
    for message in messages.get("Messages", []):
        event = json.loads(message["Body"])
        received[event["detail-type"]] = event
    return len(received) == 3


tour.wait_until(three_events, "three events in your queue")
print(json.dumps(received["OrderPlacedEvent"], indent=2))

# %% [markdown]
# The outer part is EventBridge's **envelope**, with its own `id`. `detail` is this system's
# part: `metadata` identifies the *fact* and its cause, and `data` says what happened. A fact
# happens once, even if the event that reports it is published twice.

# %%
tour.expect("no event has the address", customer.email not in json.dumps(received))
stored, rows = tour.follow(order["orderId"])
tour.sequence(rows, stored)

# %% [markdown]
# Each event has a class, which is its contract with the consumers. The class name is the detail
# type, and `preconditions` lists what the stored order must have if the event is true:

# %%
from orders.events import PaymentCompletedEvent

tour.source(PaymentCompletedEvent)

# %% [markdown]
# ## Patterns
#
# EventBridge compares a rule's pattern with the event, field by field. ([Content
# filtering](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-content-based-filtering.html))
# You can test whether a pattern matches an event, without creating a rule. The next cell has
# four patterns. **Predict** for each whether it matches the `OrderPlacedEvent` that you've just
# received, with its total of 79.00 EUR.
#
# <details><summary>Answer</summary>
#
# No, yes, yes, no. The last one doesn't match, because the order's only item is a grinder.
#
# </details>


# %%
def matches(pattern):
    return events.test_event_pattern(
        EventPattern=json.dumps(pattern), Event=json.dumps(received["OrderPlacedEvent"])
    )["Result"]


found = {
    "a payment": matches({"source": ["order-processing.payment"]}),
    "over 50.00": matches(
        {"detail": {"data": {"totalAmount": [{"numeric": [">", 5000]}]}}}
    ),
    "not replayed": matches({"replay-name": [{"exists": False}]}),
    "a mug": matches({"detail": {"data": {"items": {"sku": ["MUG"]}}}}),
}
tour.values(**found)

# %%
tour.expect("two patterns match", list(found.values()) == [False, True, True, False])

# %% [markdown]
# ## A consumer of your own
#
# Someone in the company wants to know the revenue. They need your queue and a few lines of
# code, and nothing in this system has to change. A payment counts once, however often its event
# arrives:

# %%
placed = [
    customer.post("/orders", {**wish, "items": [{"sku": sku, "quantity": 1}]})[
        "orderId"
    ]
    for sku in ("MUG", "KETTLE")
]
revenue = {}


def both_are_paid():
    """Consume: note each payment under its id, then delete the message."""
    messages = sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
    )
    for message in messages.get("Messages", []):
        event = json.loads(message["Body"])
        data = event["detail"]["data"]
        if (
            event["detail-type"] == "PaymentCompletedEvent"
            and data["orderId"] in placed
        ):
            revenue[data["paymentId"]] = data["totalAmount"]
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return len(revenue) == 2


tour.wait_until(both_are_paid, "both payments")
tour.values(revenue=sum(revenue.values()))

# %%
tour.expect("it's a mug plus a kettle", sum(revenue.values()) == 1400 + 4950)

# %% [markdown]
# ## Break it: who may publish what?
#
# As an administrator, you may publish any event. A function may not: its role lists the sources
# and the detail types that it may publish. Here is Fulfillment's role:

# %%
iam, functions = boto3.client("iam"), boto3.client("lambda")
configuration = functions.get_function_configuration(
    FunctionName=stack.function("fulfillment")
)
role = configuration["Role"].rpartition("/")[2]
[policy_name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
document = iam.get_role_policy(RoleName=role, PolicyName=policy_name)["PolicyDocument"]
tour.table(
    {
        "action": each["Action"],
        "only if": each.get("Condition", {}).get("ForAllValues:StringEquals"),
    }
    for each in document["Statement"]
)

# %% [markdown]
# **Predict**: could Fulfillment, because of a bug or in the hands of an attacker, publish a
# `PaymentCompletedEvent`?
#
# <details><summary>Answer</summary>
#
# No. IAM checks the sources and the detail types of all entries in a `PutEvents` call, and
# denies the call if any of them isn't in the role.
#
# </details>
#
# `tour.rights_of` gives you a boto3 session with the same permissions. (Only Lambda may assume
# the function's own role, so `tour` creates another role with the same policy.)

# %%
from botocore.exceptions import ClientError

restricted = tour.rights_of("fulfillment").client("events")


def as_fulfillment(event):
    """Publish a received event once more, with Fulfillment's permissions."""
    entry = {
        "EventBusName": bus,
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
    }
    try:
        restricted.put_events(Entries=[entry])
        return "published"
    except ClientError as error:
        return error.response["Error"]["Code"]


own_event, payment = (
    received["FulfillmentCompletedEvent"],
    received["PaymentCompletedEvent"],
)
tour.wait_until(
    lambda: as_fulfillment(own_event) == "published", "Fulfillment's own event"
)
tour.values(its_own_event=as_fulfillment(own_event), a_payment=as_fulfillment(payment))

# %%
tour.expect(
    "Fulfillment can't publish a payment",
    as_fulfillment(payment) == "AccessDeniedException",
)

# %% [markdown]
# Fulfillment's own event was published, more than once. The order had already ended, so the
# copies changed nothing: they're in the audit log, and that's all.

# %%
tour.wait_until(
    lambda: len(tour.rows_of(order["orderId"])) >= 5, "the copies in the audit log"
)
rows = tour.rows_of(order["orderId"])
tour.expect("there are three facts", len({row["domainEventId"] for row in rows}) == 3)
tour.tree(rows, tour.order(order["orderId"]))

# %% [markdown]
# ## Lab 4.1: large orders
#
# Someone wants to check each order over 100.00 EUR by hand. Write the pattern that delivers the
# `OrderPlacedEvent` of those orders, and no other event, to a queue. The check creates a rule
# with your pattern and a queue as its target, places a small and a large order, and looks at
# what arrives.

# %% tags=["exercise"]
pattern = {}

tour.check("4.1", pattern)

# %% [markdown]
# <details><summary>Hint</summary>
#
# You need two conditions: one on the detail type, and a numeric one on
# `detail.data.totalAmount`, in minor units.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# pattern = {
#     "detail-type": ["OrderPlacedEvent"],
#     "detail": {"data": {"totalAmount": [{"numeric": [">", 10000]}]}},
# }
# tour.check("4.1", pattern)
# ```
#
# </details>

# %% [markdown]
# ## Clean up

# %%
tour.remove_mine()
left = events.list_rules(EventBusName=bus, NamePrefix=name)["Rules"]
tour.expect("your rule is gone", left == [])

# %% [markdown]
# ## Recap
#
# - A new consumer needs a rule and a target; no publisher has to change.
# - A pattern is data: you can test it against an event before you deploy anything.
# - A role says which sources and detail types a function may publish.
# - Each event is delivered at least once, in no particular order.
#
# **Next:** [5 · Pay once](05_pay_once.ipynb) sends the same event ten times.
