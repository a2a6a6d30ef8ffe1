# %% [markdown]
# # 7 · Notifying the customer
#
# ![The system, with the topic, the queue and Notification highlighted](../docs/pictures/07_notifying_the_customer.svg)
#
# In this notebook you follow an event through a topic and a queue to an e-mail, give the
# function a batch with a message that it can't process, and see what keeps it from sending an
# e-mail twice.

# %%
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The idea
#
# A second charge can be refunded, but a second e-mail can't be unsent. And e-mail services
# limit how many messages you may send per second. So Notification doesn't get its events
# directly from the bus: they go to an SNS **topic**, and from there to an SQS **queue**. Lambda
# polls the queue, and invokes Notification with one batch of messages after another, only a few
# at a time. When events arrive in a burst, they wait in the queue.
#
# A message that is being processed is hidden in the queue for the **visibility timeout**. When
# the function reports that one message of a batch failed, only that one becomes visible again,
# and is delivered again. After five deliveries, SQS moves it to the queue's **dead-letter
# queue**, where it's kept for an operator. ([Using Lambda with
# SQS](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html))
#
# ## The path, as deployed

# %%
import json

import boto3

sqs, functions = boto3.client("sqs"), boto3.client("lambda")
queue_url = stack.outputs["NotificationQueueUrl"]
queue = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])[
    "Attributes"
]
name = stack.function("notification")
[mapping] = functions.list_event_source_mappings(FunctionName=name)[
    "EventSourceMappings"
]
timeout = functions.get_function_configuration(FunctionName=name)["Timeout"]
tour.values(
    batch_size=mapping["BatchSize"],
    reports=mapping["FunctionResponseTypes"],
    visibility_timeout=f"{queue['VisibilityTimeout']} s",
    function_timeout=f"{timeout} s",
    deliveries=json.loads(queue["RedrivePolicy"])["maxReceiveCount"],
)

# %%
tour.expect(
    "the visibility timeout is at least six times the function's, as AWS advises",
    int(queue["VisibilityTimeout"]) >= 6 * timeout,
)

# %% [markdown]
# ## An e-mail
#
# This time, order with a phone number, so that a text message is sent as well. (Germany's
# Federal Network Agency reserves this number for films, so it belongs to nobody.)

# %%
wish = {
    "items": [{"sku": "MUG", "quantity": 2}, {"sku": "KETTLE", "quantity": 1}],
    "paymentMethod": "tok_visa",
}
order = customer.post("/orders", {**wish, "phone": "+491713920001"})
stored, rows = tour.follow(order["orderId"])
tour.values(**stored["notification"])

# %%
tour.sequence(rows, stored)

# %% [markdown]
# The embedded AWS keeps the e-mails that SES would have sent. On AWS, look in your own mailbox,
# if you started the notebooks with `READER_EMAIL=you@example.com`.

# %%
from local.emulator.inbox import inbox


def mails():
    return inbox(stack.endpoint_url, customer.email) if stack.endpoint_url else []


for mail in mails():
    tour.email(mail["BodyHtml"], mail["BodyText"])

# %% [markdown]
# ## Break it: a poison message
#
# A **poison message** can never be processed. You invoke the function with a batch of three
# messages, as Lambda does when it polls the queue: the order's event, which has already been
# processed; some text that isn't JSON; and the order's event again. **Predict**: which of the
# three does the function report as failed, and how many e-mails will there be?
#
# <details><summary>Answer</summary>
#
# Only the second one. For the other two, the function finds that the customer has already been
# notified, which counts as success. There is still one e-mail.
#
# </details>


# %%
def invoke(*bodies):
    """Invoke Notification with a batch; return the ids of the messages that failed."""
    records = [
        {"messageId": f"message-{number}", "body": body}
        for number, body in enumerate(bodies, 1)
    ]
    response = functions.invoke(
        FunctionName=name, Payload=json.dumps({"Records": records})
    )
    failures = json.load(response["Payload"])["batchItemFailures"]
    return [failure["itemIdentifier"] for failure in failures]


event = json.dumps(tour.envelope_of(rows[-1]))
failed = invoke(event, "this is not JSON", event)
tour.values(failed=failed, emails=len(mails()))

# %%
tour.expect("only the poison message failed", failed == ["message-2"])
tour.expect("there is no second e-mail", not stack.endpoint_url or len(mails()) == 1)

# %% [markdown]
# ## The claim
#
# Two invocations can get the same event at the same time. If each first read "not notified yet"
# and then sent, both would send. So an invocation first **claims** the right to send, by a
# conditional write that stores its id and the time. Then it sends the e-mail, and records the
# receipt.

# %%
from orders import choreography

tour.source(choreography._send_once)

# %%
from orders.aws.store import OrdersTable

tour.source(OrdersTable.claim)

# %% [markdown]
# ## Break it: another invocation holds the claim
#
# You keep the events from Notification, place an order, and write another invocation's claim on
# it. **Predict**: what does Notification do with the event now? And what does it do if the
# claim is an hour old?
#
# <details><summary>Answer</summary>
#
# It reports the message as failed, because the other invocation may be sending the e-mail at
# this moment. SQS will deliver the message again. A claim that is older than the function's
# timeout is *stale*: the invocation that wrote it can't be running any more. So Notification
# replaces the claim with its own, and sends.
#
# </details>

# %%
from datetime import UTC, datetime, timedelta

with tour.rules_off("notification"):
    quiet = customer.post("/orders", wish)["orderId"]
    tour.wait_until(
        lambda: tour.order(quiet)["status"] == "FULFILLED", "the status FULFILLED"
    )
    [last] = tour.wait_until(
        lambda: tour.rows_of(quiet)[2:], "the last event in the audit log"
    )

orders = boto3.resource("dynamodb").Table(stack.outputs["OrdersTableName"])


def claim(at):
    """Write another invocation's claim on the order."""
    at = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    orders.update_item(
        Key={"orderId": quiet},
        UpdateExpression="SET emailClaim = :claim",
        ExpressionAttributeValues={":claim": {"owner": "another invocation", "at": at}},
    )


# %%
event = json.dumps(tour.envelope_of(last))
claim(datetime.now(UTC))
failed = invoke(event)
tour.expect("the message will be delivered again", failed == ["message-1"])
tour.expect("no e-mail was sent", "notification" not in tour.order(quiet))

# %%
claim(datetime.now(UTC) - timedelta(hours=1))
failed = invoke(event)
tour.expect("a stale claim is replaced", failed == [])
tour.expect("the e-mail was sent", tour.order(quiet)["notification"]["messageId"])

# %% [markdown]
# One gap remains. If the function crashes after SES has accepted the e-mail, but before the
# receipt is recorded, a later delivery sends the e-mail again: SES has no idempotency key. It's
# better to notify twice than never.
#
# ## Lab 7.1: a consumer that reports its failures
#
# Write the consumer of a queue. Each message's `body` is JSON with an `orderId`; call
# `done(order_id)` for it. One of the messages is poison. Return the ids of the failed messages,
# in the form that Lambda expects. The check sends five messages to a queue with a dead-letter
# queue, delivers batches to your function as Lambda would, and looks at which messages are
# left.


# %% tags=["exercise"]
def consume(batch, done):
    for record in batch["Records"]:
        done(json.loads(record["body"])["orderId"])
    return {"batchItemFailures": []}


tour.check("7.1", consume)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def consume(batch, done):
#     failures = []
#     for record in batch["Records"]:
#         try:
#             done(json.loads(record["body"])["orderId"])
#         except Exception as error:
#             print(f"{record['messageId']} failed: {error}")
#             failures.append({"itemIdentifier": record["messageId"]})
#     return {"batchItemFailures": failures}
#
#
# tour.check("7.1", consume)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - A queue absorbs bursts, and limited concurrency respects the e-mail service's limits.
# - With a *partial batch response*, only the failed messages are delivered again.
# - A claim checks that nobody has notified the customer yet and reserves the right to do so, in
#   one write.
# - After a crash right after sending, the e-mail can be sent twice. That's the only gap.
#
# **Next:** [8 · The audit trail](08_the_audit_trail.ipynb) reads an order's history.
