# %% [markdown]
# # 9 · Failing and recovering
#
# ![The system, with PaymentProcessing and the dead-letter queues highlighted](../docs/pictures/09_failing_and_recovering.svg)
#
# In this notebook you take the payment gateway down, follow an order into the dead-letter queue,
# and bring it back. Then you replay everything, and nothing is charged twice.

# %%
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The idea
#
# A declined card is a result; it's published as an event (notebook 5). A gateway that doesn't
# respond is something else: an **exception**. The function raises it, and Lambda takes over:
#
# 1. Lambda **retries** the event twice, after one and after two minutes. (The embedded AWS waits
#    one and two seconds.)
# 2. Then it sends the event to the function's on-failure destination, the **dead-letter queue**
#    (DLQ). There it's kept, with the error.
# 3. Once the cause is mended, an operator **redrives** it: the event goes to the function that
#    failed, once more.
#
# ([How Lambda handles errors of asynchronous invocations](https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html))
#
# ## The gateway goes down
#
# The simulated gateway has a switch. You place an order while it's down. **Predict**: what does
# the customer get for `POST /orders`, and how often is the gateway asked?
#
# <details><summary>Answer</summary>
#
# 201, as always: the order is stored, and its event is on the bus. Lambda tries three times, the
# first time and two retries.
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
# Lambda's record of the failure has the event itself, the number of attempts, and the error:

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
# The gateway is up again. A redrive gives each dead letter to the function that failed, and to
# no other, and then deletes it. `npm run dlq -- redrive` runs this code:

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
tour.expect("one charge", tour.ledger(order_id)["charges"] == 1)

# %% [markdown]
# The audit log doesn't show the failed attempts: nothing was published. Each attempt is in the
# function's log. Together, log, queue and audit log show the whole recovery:

# %%
logs = boto3.client("logs")
group = f"/aws/lambda/{stack.function('paymentProcessing')}"


def failed_attempts():
    """When PaymentProcessing failed for this order, from its log."""
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
# If nobody redrives, the Reconciler publishes the order's event again after a minute: notebook 10
# shows how. `tour.canvas(order_id)` shows such a recovery live, and so does the order's page in
# the storefront; *Break it* there takes the gateway down. And [the runbook](../docs/runbook.md) says what an operator does when an alarm
# fires.
#
# ## Break it: a poison message
#
# Some events can never be processed. This one has no order. **Predict** where it ends, and what
# a redrive does with it.
#
# <details><summary>Answer</summary>
#
# It ends in the dead-letter queue, with the reason. A redrive brings it back after three more
# attempts: no retry can mend it. Once somebody knows where it came from, it's deleted, with
# `npm run dlq -- purge`.
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
# The bus has an **archive**, which keeps every event. A **replay** puts all events of a span of
# time on the bus again. Two things to know: on AWS the archive takes up to ten minutes to hold
# an event, and a replay doesn't keep the order of events.
# ([Archive and replay](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html))
#
# **Predict**: how many charges will a replay of today's events cause, and how many e-mails?
#
# <details><summary>Answer</summary>
#
# None. Each step finds its result stored, and a closed order publishes nothing.
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
# To see that the replayed events really arrive, you put a queue on the bus that receives events
# with a `replay-name`. (AuditLogger's rule leaves them out, and the other rules don't.)

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
# The poison message was replayed as well, and is in the dead-letter queue again. When it's
# there, PaymentProcessing has processed what came before it:

# %%
again = tour.dead_letter_of("-", seconds=400)
after = {
    "order": tour.order(order_id),
    "ledger": tour.ledger(order_id),
    "rows": len(tour.rows_of(order_id)),
}
tour.values(**after["ledger"], rows_in_the_audit_log=after["rows"])

# %%
tour.expect("no charge, no e-mail, no row more", after == before)

# %% [markdown]
# ## Lab 9.1: after the outage
#
# Write `worth_a_redrive(dead_letters)`: those of the dead letters that a redrive can mend. Each
# has `event_type`, `consumer`, `reason` and `order_id`. The check takes the gateway down, places
# orders, publishes a forged event and a malformed one, takes the gateway up, and redrives what
# you return. All orders must end, and nothing else may be delivered again.


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
# - A broken gateway is an exception: Lambda retries, then the dead-letter queue keeps the event.
# - A redrive goes to the one function that failed; a poison message needs a person.
# - A replay of finished orders charges nothing, sends nothing and publishes nothing.
#
# **Next:** [10 · The event that was never sent](10_the_event_that_was_never_sent.ipynb)
