# %% [markdown]
# # 9 · Failing and recovering
#
# ![The system, with PaymentProcessing and the dead-letter queues highlighted](../docs/pictures/09_failing_and_recovering.svg)
#
# In this notebook you take the payment gateway down, follow an order's event into the
# dead-letter queue, and let the order recover. Then you replay all events, and nothing is
# charged twice.

# %%
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The idea
#
# A declined card is a result, so it's published as an event (notebook 5). But when the payment
# gateway, through which the function charges the card, doesn't respond, that's an error: the
# function raises an **exception**, and Lambda takes over:
#
# 1. Lambda **retries** twice: after one minute, and after two more. (The embedded AWS waits one
#    second and two seconds.)
# 2. Then it sends the event to the function's on-failure destination, the **dead-letter queue**
#    (DLQ). The queue keeps it, with the error.
# 3. Once the cause is fixed, an operator **redrives** the event: it's delivered again, only to
#    the function that failed.
#
# ([How Lambda handles errors of asynchronous invocations](https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html))
#
# ## The gateway goes down
#
# You can switch the simulated gateway off. You place an order while it's down. **Predict**:
# which status code does `POST /orders` return, and how often does Lambda invoke
# PaymentProcessing?
#
# <details><summary>Answer</summary>
#
# 201, as always: the order is stored, and its event is on the bus. Lambda invokes
# PaymentProcessing three times: once, and then for two retries.
#
# </details>

# %%
import json

import boto3

sqs, queue_url = boto3.client("sqs"), stack.outputs["DeadLetterQueueUrl"]
wish = {"items": [{"sku": "COFFEE-1KG", "quantity": 1}], "paymentMethod": "tok_visa"}


def failure_record():
    """The order's message in the dead-letter queue; it stays there."""
    messages = sqs.receive_message(
        QueueUrl=queue_url, VisibilityTimeout=1, WaitTimeSeconds=1
    ).get("Messages", [])
    bodies = [message["Body"] for message in messages if order_id in message["Body"]]
    return json.loads(bodies[0]) if bodies else None


with tour.gateway_down():
    order_id = customer.post("/orders", wish)["orderId"]
    record = tour.wait_until(failure_record, "the dead letter", seconds=400)

# %% [markdown]
# Lambda's record of the failure contains the event, the number of attempts and the error:

# %%
tour.values(
    attempts=record["requestContext"]["approximateInvokeCount"],
    condition=record["requestContext"]["condition"],
    error=record["responsePayload"]["errorMessage"],
    event=record["requestPayload"]["detail-type"],
)

# %%
tour.expect(
    "Lambda tried three times", record["requestContext"]["approximateInvokeCount"] == 3
)
tour.expect("the order is waiting", tour.order(order_id)["status"] == "PLACED")
tour.expect("nothing was charged", tour.ledger(order_id)["charges"] == 0)

# %% [markdown]
# ## Recover: redrive
#
# The gateway is up again. A redrive delivers each message in the queue, a *dead letter*, to the
# function that failed and to no other, and then deletes it. `npm run dlq -- redrive` runs this
# code:

# %%
from operations import dead_letters

tour.source(dead_letters.redrive)

# %%
from datetime import UTC, datetime

redriven_at = datetime.now(UTC).isoformat()
redriven = tour.wait_until(
    lambda: list(dead_letters.redrive(stack)), "the redrive of the dead letter"
)
tour.table(
    {"event": each.event_type, "consumer": each.consumer, "reason": each.reason}
    for each in redriven
)

# %%
stored, rows = tour.follow(order_id)
tour.sequence(rows, stored)

# %%
tour.expect("the order has ended", stored["status"] == "FULFILLED")
tour.expect("the card was charged once", tour.ledger(order_id)["charges"] == 1)

# %% [markdown]
# The audit log doesn't show the failed attempts, because they published nothing. Each attempt
# is in the function's own log. Together, the function's log, the queue and the audit log show
# the whole recovery:

# %%
logs = boto3.client("logs")
group = f"/aws/lambda/{stack.function('paymentProcessing')}"


def failed_attempts():
    """The times at which PaymentProcessing failed for this order, from its log."""
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern=f'"{order_id}"'
    )
    at = [
        datetime.fromtimestamp(line["timestamp"] / 1000, UTC).isoformat()
        for page in pages
        for line in page["events"]
        if "GatewayUnavailable" in line["message"]
    ]
    return at if len(at) >= 3 else None


attempts = tour.wait_until(failed_attempts, "three failed attempts in the log")
paid = [row["loggedAt"] for row in rows if row["eventType"] == "PaymentCompletedEvent"]
tour.timeline(
    {
        "OrderPlacedEvent": [rows[0]["loggedAt"]],
        "failed attempt": attempts,
        "dead letter": [record["timestamp"]],
        "redrive": [redriven_at],
        "PaymentCompletedEvent": paid,
        "e-mail": [stored["notification"]["at"]],
    },
    "An outage and its recovery",
)

# %% [markdown]
# If nobody redrives the event, the Reconciler publishes it again after about a minute; notebook
# 10 shows how. You can watch such a recovery live with `tour.canvas(order_id)`, or on the
# order's page in the storefront, where *Break it* takes the gateway down. [The
# runbook](../docs/runbook.md) says what an operator does when an alarm fires.
#
# ## Break it: a poison message
#
# Some events can never be processed. You publish an `OrderPlacedEvent` without any data.
# **Predict** where it ends up, and what a redrive would do with it.
#
# <details><summary>Answer</summary>
#
# It ends up in the dead-letter queue, with the reason. After a redrive it would fail again, and
# come back to the queue: no retry can fix it. Once an operator knows where it came from, they
# delete it with `npm run dlq -- purge`.
#
# </details>

# %%
entry = {
    "EventBusName": stack.outputs["EventBusName"],
    "Source": "order-processing.orders",
    "DetailType": "OrderPlacedEvent",
    "Detail": json.dumps({"metadata": {}, "data": {}}),
}
response = boto3.client("events").put_events(Entries=[entry])
poison = tour.dead_letter_of("-", seconds=400)
tour.values(consumer=poison.consumer, reason=poison.reason)

# %%
tour.expect("the reason names the field", "data.orderId" in poison.reason)

# %% [markdown]
# ## Replay
#
# The bus has an **archive**, which keeps every event. A **replay** puts all events from a span
# of time on the bus again. Two things are important: on AWS it can take ten minutes until an
# event is in the archive, and a replay doesn't keep events in order. ([Archive and
# replay](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html))
#
# You're going to replay every event since this order was placed. **Predict**: how many charges
# will that cause, and how many e-mails?
#
# <details><summary>Answer</summary>
#
# No charges and no e-mails. Each step finds that its result is already stored, and publishes
# nothing, because the order has ended.
#
# </details>

# %%
before = {
    "order": tour.order(order_id),
    "ledger": tour.ledger(order_id),
    "rows": len(tour.rows_of(order_id)),
}
tour.values(**before["ledger"], rows_in_the_audit_log=before["rows"])

# %% [markdown]
# To see that the replayed events really arrive, you connect a queue to the bus. It receives the
# events that have a `replay-name`. (AuditLogger's rule excludes those; the other functions'
# rules don't.)

# %%
from datetime import timedelta

from notebooks import own
from operations.replay import replay_span

events, name = boto3.client("events"), tour.new_name()
bus = stack.outputs["EventBusName"]
pattern = json.dumps({"replay-name": [{"exists": True}]})
rule = events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern)["RuleArn"]
replayed_url = sqs.create_queue(QueueName=name)["QueueUrl"]
target = {"Id": "replayed", "Arn": own.allow_rules(stack, replayed_url, [rule])}
response = events.put_targets(Rule=name, EventBusName=bus, Targets=[target])

# %%
start = datetime.fromisoformat(stored["placedAt"]) - timedelta(seconds=1)
replay = list(replay_span(stack, start, datetime.now(UTC)))[-1]
seen = set()


def all_three_replayed():
    messages = sqs.receive_message(
        QueueUrl=replayed_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
    ).get("Messages", [])
    for message in messages:
        event = json.loads(message["Body"])
        if event["detail"]["data"].get("orderId") == order_id:
            seen.add(event["detail-type"])
    return len(seen) == 3


tour.wait_until(all_three_replayed, "the order's three events once more", seconds=900)
tour.values(replay=replay.state, replayed=sorted(seen))

# %% [markdown]
# The poison message was replayed as well, and ends up in the dead-letter queue again. While you
# wait for it, PaymentProcessing has time to process the order's event, too:

# %%
again = tour.dead_letter_of("-", seconds=400)
after = {
    "order": tour.order(order_id),
    "ledger": tour.ledger(order_id),
    "rows": len(tour.rows_of(order_id)),
}
tour.values(**after["ledger"], rows_in_the_audit_log=after["rows"])

# %%
tour.expect("no new charge, e-mail or row", after == before)

# %% [markdown]
# ## Lab 9.1: after the outage
#
# Write `worth_a_redrive(dead_letters)`, which returns the dead letters that will succeed when
# they're redriven. Each has `event_type`, `consumer`, `reason` and `order_id`. The check takes
# the gateway down, places three orders, publishes an event with a wrong amount and a malformed
# one, brings the gateway back up, and redrives the dead letters that you return. All three
# orders must end, and nothing else may be redriven.


# %% tags=["exercise"]
def worth_a_redrive(dead_letters):
    return dead_letters


tour.check("9.1", worth_a_redrive)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Look at the reasons: which error will be gone once the gateway is up? `orders/errors.py` says
# for each error who retries.
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def worth_a_redrive(dead_letters):
#     return [each for each in dead_letters if "gateway" in each.reason]
#
#
# tour.check("9.1", worth_a_redrive)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - When the gateway is down, the function raises an exception: Lambda retries, and then the
#   dead-letter queue keeps the event.
# - A redrive delivers an event only to the function that failed. A poison message needs a
#   person.
# - A replay of orders that have ended charges nothing, sends nothing and publishes nothing.
#
# **Next:** [10 · The event that was never sent](10_the_event_that_was_never_sent.ipynb) crashes
# a function before it publishes its event.
