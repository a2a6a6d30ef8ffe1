# %% [markdown]
# # 6 · Telling the customer
#
# A charge that is made twice can be undone, an e-mail can't. And mail providers are slow and strict: so many a second and no more. This
# is why Notification, and it alone, sits behind a topic and a queue.

# %%
import atexit
import json

import boto3
import tour

stack = tour.connect()
customer = tour.customer()
events, sns, sqs, functions = (
    boto3.client(name) for name in ("events", "sns", "sqs", "lambda")
)

# %% [markdown]
# ## The way of the news
#
# From the rule to the topic, from the topic to the queue, from the queue to the function. You read it off the deployed resources:

# %%
topic, queue_url = (
    stack.outputs["OrderNotificationTopicArn"],
    stack.outputs["NotificationQueueUrl"],
)
[rule] = events.list_rule_names_by_target(
    TargetArn=topic, EventBusName=stack.outputs["EventBusName"]
)["RuleNames"]
pattern = json.loads(
    events.describe_rule(Name=rule, EventBusName=stack.outputs["EventBusName"])[
        "EventPattern"
    ]
)
[subscription] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
[mapping] = functions.list_event_source_mappings(
    FunctionName=stack.function("notification")
)["EventSourceMappings"]

queue, function = subscription["Endpoint"], mapping["FunctionArn"]
short = {arn: arn.rpartition(":")[2].split("-")[3] for arn in (topic, queue, function)}
tour.topology(
    [
        *((kind, short[topic]) for kind in pattern["detail-type"]),
        (short[topic], short[queue]),
        (short[queue], short[function]),
    ]
)

# %% [markdown]
# The queue gives a message to the function and hides it meanwhile. The function says which messages of a batch failed
# (`ReportBatchItemFailures`), and only those come back. After five deliveries a message goes to the queue's own dead-letter queue.

# %%
queue_attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])[
    "Attributes"
]
hidden = int(queue_attributes["VisibilityTimeout"])
timeout = functions.get_function_configuration(
    FunctionName=stack.function("notification")
)["Timeout"]
(
    mapping["BatchSize"],
    mapping["FunctionResponseTypes"],
    hidden,
    timeout,
    json.loads(queue_attributes["RedrivePolicy"])["maxReceiveCount"],
)

# %%
assert hidden >= 6 * timeout, (
    "else a message would come back while the function still works on it"
)

# %% [markdown]
# ## An e-mail
#
# Order, with a phone number this time: then a text message is sent as well.

# %%
wish = {
    "items": [{"sku": "MUG", "quantity": 2}, {"sku": "KETTLE", "quantity": 1}],
    "paymentMethod": "tok_visa",
}
order = customer.post("/orders", {**wish, "phone": "+4915112345678"})
stored, rows = tour.follow(order["orderId"])
stored["notification"]

# %% [markdown]
# On AWS the e-mail is in your mailbox. The embedded AWS keeps what it would have sent; this is the HTML part, as your mail program
# would show it:

# %%
from IPython.display import HTML

from local.emulator.inbox import inbox

mails = inbox(stack.endpoint_url, customer.email) if stack.endpoint_url else []
HTML(mails[0]["BodyHtml"] if mails else "on AWS: look into your mailbox")

# %% [markdown]
# And the text part, for those who read mail without HTML:

# %%
print(mails[0]["BodyText"] if mails else "on AWS: look into your mailbox")

# %%
tour.sequence(rows, stored)

# %% [markdown]
# ## A batch with a poison message
#
# You invoke the function yourself with a batch of three, as the queue would: the order's event (it was told already), something that
# is not even JSON, and the order's event again.
#
# **Predict**: which of the three are reported as failed, and how many e-mails will there be in the end?
#
# <details><summary>Answer</summary>
#
# Only the second. The other two find the customer told, which is a success. There is still one e-mail.
#
# </details>


# %%
def batch(*bodies):
    """Invoke Notification with a batch of messages, and return the ids of those that it gives back."""
    records = [
        {"messageId": f"message-{number}", "body": body}
        for number, body in enumerate(bodies, 1)
    ]
    answer = functions.invoke(
        FunctionName=stack.function("notification"),
        Payload=json.dumps({"Records": records}),
    )
    return [
        failure["itemIdentifier"]
        for failure in json.load(answer["Payload"])["batchItemFailures"]
    ]


def message(row):
    """The body that the queue delivers: EventBridge's envelope."""
    return json.dumps(tour.envelope_of(row))


failed = batch(message(rows[-1]), "this is not JSON", message(rows[-1]))
failed

# %%
assert failed == ["message-2"]
assert not stack.endpoint_url or len(inbox(stack.endpoint_url, customer.email)) == 1

# %% [markdown]
# ## The claim
#
# "Has somebody told the customer?" and "then I do" must be one step, or two invocations ask at the same time and both send. So the
# function *claims* the right to send, with its name and the time, then sends, then records:

# %%
from orders import choreography

tour.source(choreography._send_once)

# %%
from orders.aws.store import OrdersTable

tour.source(OrdersTable.claim)

# %% [markdown]
# ## Break it: somebody else is at it
#
# You switch the rule off, so that nobody is told by itself, and write a claim of somebody else onto a new order. (The rule is
# switched on again below, and also if you leave in between.)

# %%
bus = stack.outputs["EventBusName"]
atexit.register(events.enable_rule, Name=rule, EventBusName=bus)
events.disable_rule(Name=rule, EventBusName=bus)
quiet = customer.post("/orders", wish)
path = f"/orders/{quiet['orderId']}"
tour.wait_until(
    lambda: customer.get(path)["status"] == "FULFILLED",
    "the order's end, of which nobody is told",
)
ended = tour.wait_until(
    lambda: len(rows := tour.rows_of(quiet["orderId"])) == 3 and rows[-1],
    "its last event in the log",
)

# %%
from orders import clock

orders = boto3.resource("dynamodb").Table(stack.outputs["OrdersTableName"])


def claim_for_somebody_else(at):
    orders.update_item(
        Key={"orderId": quiet["orderId"]},
        UpdateExpression="SET emailClaim = :claim",
        ExpressionAttributeValues={
            ":claim": {"owner": "somebody else", "at": clock.timestamp(at)}
        },
    )


claim_for_somebody_else(clock.now())

# %% [markdown]
# **Predict**: what does Notification do with the message now? And what if the claim is an hour old?
#
# <details><summary>Answer</summary>
#
# It gives the message back: somebody may be sending at this very moment, and the queue will deliver it again. A claim that is older
# than the function's time-out belongs to nobody who still runs: then it takes the claim over, and sends.
#
# </details>

# %%
batch(message(ended)), customer.get(path).get("notification")

# %%
from datetime import timedelta

claim_for_somebody_else(clock.now() - timedelta(hours=1))
batch(message(ended)), customer.get(path)["notification"]["channel"]

# %%
assert "emailClaim" not in orders.get_item(Key={"orderId": quiet["orderId"]})["Item"]
assert "dueAt" not in orders.get_item(Key={"orderId": quiet["orderId"]})["Item"], (
    "told and ended: the order is closed"
)
events.enable_rule(Name=rule, EventBusName=bus)["ResponseMetadata"]["HTTPStatusCode"]

# %% [markdown]
# ## Exercise 6.1
#
# A function crashes after SES took the e-mail and before the receipt was recorded. What does the customer get? Answer with
# `"nothing"`, `"one e-mail"` or `"two e-mails"`.

# %% tags=["exercise"]
answer = None

tour.check("6.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = "two e-mails"
# tour.check("6.1", answer)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - A queue lets a burst wait; bounded concurrency keeps the mail provider's limits.
# - Only the failed messages of a batch come back, and a poison message ends in the queue's dead-letter queue.
# - A claim makes "not told yet" and "I do it" one step; only a crash right after sending can send again.
#
# **Next:** [7 · The audit trail](08_the_audit_trail.ipynb)
