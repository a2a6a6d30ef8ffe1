# %% [markdown]
# # 8 · Failing and recovering
#
# The payment gateway goes down. You watch an order fail, see who tries how often, find it in the dead-letter queue, and send it on its
# way again. Then you replay the past, and nothing happens: which is the point.

# %%
import atexit
import json
from datetime import UTC, datetime, timedelta

import boto3
import tour

stack = tour.connect()
customer = tour.customer()
started = datetime.now(UTC)
wish = {"items": [{"sku": "COFFEE-1KG", "quantity": 1}], "paymentMethod": "tok_visa"}

# %% [markdown]
# First a good day, to compare with:

# %%
tour.sequence(*reversed(tour.follow(customer.post("/orders", wish)["orderId"])))

# %% [markdown]
# ## The gateway goes down
#
# The simulated gateway has one switch: the environment variable `PAYMENT_GATEWAY` of PaymentProcessing. (It is put back below, and
# also if you leave the notebook in between.)

# %%
functions = boto3.client("lambda")
name = stack.function("paymentProcessing")
usual = functions.get_function_configuration(FunctionName=name)["Environment"][
    "Variables"
]


def gateway(state):
    """Let the gateway be up or down."""
    environment = {"Variables": {**usual, "PAYMENT_GATEWAY": state}}
    functions.update_function_configuration(FunctionName=name, Environment=environment)
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)


atexit.register(gateway, "up")
gateway("down")

# %% [markdown]
# **Predict**: what does the customer get now for `POST /orders`, and how often will the card be tried?
#
# <details><summary>Answer</summary>
#
# 201, as always: the order is written, and its event is on the bus. Lambda tries three times in all, the first time and two retries,
# and then hands the event to the function's on-failure destination, the dead-letter queue.
#
# </details>

# %%
order = customer.post("/orders", wish)
sqs = boto3.client("sqs")


def in_the_queue():
    """The failure record of our order, left in the queue."""
    answer = sqs.receive_message(
        QueueUrl=stack.outputs["DeadLetterQueueUrl"],
        VisibilityTimeout=1,
        WaitTimeSeconds=1,
    )
    records = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
    return next(
        (record for record in records if order["orderId"] in json.dumps(record)), None
    )


record = tour.wait_until(
    in_the_queue, "the failed event in the dead-letter queue", seconds=300
)
(
    record["requestContext"]["condition"],
    record["requestContext"]["approximateInvokeCount"],
    record["responsePayload"]["errorMessage"],
)

# %%
assert record["requestContext"]["approximateInvokeCount"] == 3
assert customer.get(f"/orders/{order['orderId']}")["status"] == "PLACED"

# %% [markdown]
# The record holds the event itself (`requestPayload`), which function failed on it and why. The function's log has the three tries:

# %%
logs = boto3.client("logs")


def tries():
    lines = logs.filter_log_events(
        logGroupName=f"/aws/lambda/{name}",
        filterPattern=f'"{order["orderId"]}"',
        startTime=int(started.timestamp() * 1000),
    )["events"]
    failed = [line for line in lines if "GatewayUnavailable" in line["message"]]
    return len(failed) >= 3 and [
        datetime.fromtimestamp(line["timestamp"] / 1000, UTC).isoformat()
        for line in failed
    ]


moments = tour.wait_until(tries, "three tries in the log")
placed_at = customer.get(f"/orders/{order['orderId']}")["placedAt"]
tour.timeline(
    {"order placed": [placed_at], "PaymentProcessing tried": moments}, "Three tries"
)

# %%
assert len(moments) == 3

# %% [markdown]
# Locally Lambda waits 1 and 2 seconds between the tries, on AWS 1 and 2 minutes.
#
# ## Recover: redrive
#
# The gateway is up again. A redrive hands each dead letter to the function that failed on it, and only to it, and then deletes it. It
# is what `npm run dlq -- redrive` does:

# %%
gateway("up")

from operations import dead_letters

tour.source(dead_letters.redrive)
[
    (letter.event_type, letter.consumer)
    for letter in tour.wait_until(
        lambda: list(dead_letters.redrive(stack)), "a redrive"
    )
]

# %%
stored, rows = tour.follow(order["orderId"])
tour.sequence(rows, stored)

# %%
assert stored["status"] == "FULFILLED"

# %% [markdown]
# Had nobody redriven it, the reconciler would have taken the order up a minute later: notebook 9 shows how.
#
# ## Break it: a poison message
#
# Some events can never be handled. This one has no order id. **Predict** where it ends, and what a redrive does with it.
#
# <details><summary>Answer</summary>
#
# In the dead-letter queue, with the reason. A redrive brings it back after three more tries: no retry can cure it. It has to be thrown
# away, `npm run dlq -- purge`, once somebody has understood where it came from.
#
# </details>

# %%
entry = {
    "EventBusName": stack.outputs["EventBusName"],
    "Source": "order-processing.orders",
    "DetailType": "OrderPlacedEvent",
    "Detail": json.dumps({"metadata": {}, "data": {}}),
}
boto3.client("events").put_events(Entries=[entry])["FailedEntryCount"]

# %%
poison = tour.dead_letter_of("-", seconds=300)
poison.consumer, poison.reason

# %%
assert "data.orderId: Field required" in poison.reason

# %% [markdown]
# ## Replay the past
#
# The archive kept every event since this notebook began. A replay puts them all on the bus once more.
#
# **Predict**: how many charges, and how many e-mails, will the replay cause?
#
# <details><summary>Answer</summary>
#
# None. Each step finds its result stored, and a closed order publishes nothing more.
#
# </details>

# %%
from operations.replay import replay_span


def invocations():
    """How often PaymentProcessing was started since the notebook began."""
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{name}",
        filterPattern="START",
        startTime=int(started.timestamp() * 1000),
    )
    return sum(
        line["message"].startswith("START") for page in pages for line in page["events"]
    )


log = boto3.resource("dynamodb").Table(stack.outputs["AuditLogTableName"])
before = {"orders": customer.get("/orders"), "rows": log.scan(Select="COUNT")["Count"]}
invoked = invocations()
progress = list(replay_span(stack, started - timedelta(seconds=1), datetime.now(UTC)))
progress[-1].state

# %% [markdown]
# The replayed events carry a `replay-name`, and the audit log's rule leaves those out; the other rules don't. Wait until
# PaymentProcessing has been started for both orders' events once more, and compare.

# %%
tour.wait_until(
    lambda: invocations() >= invoked + 2,
    "the replayed events at PaymentProcessing",
    seconds=300,
)
after = {"orders": customer.get("/orders"), "rows": log.scan(Select="COUNT")["Count"]}
after["rows"], [order["status"] for order in after["orders"]["orders"]]

# %%
assert progress[-1].state == "COMPLETED"
assert after == before

# %% [markdown]
# The poison message was replayed as well: an archive keeps everything. Take it out of the dead-letter queue once more.

# %%
tour.dead_letter_of("-", seconds=300).reason == poison.reason

# %% [markdown]
# ## Exercise 8.1
#
# Which errors are worth a retry? Sort these into two sets, `retry` and `keep`: `GatewayUnavailable`, `EventContradictsOrder`,
# `MalformedEvent`, `PublishFailed`, `OrderNotFound`. `orders/errors.py` says who retries what.

# %% tags=["exercise"]
answer = {"retry": set(), "keep": set()}

tour.check("8.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = {
#     "retry": {"GatewayUnavailable", "PublishFailed"},
#     "keep": {"EventContradictsOrder", "MalformedEvent", "OrderNotFound"},
# }
# tour.check("8.1", answer)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - A broken gateway is an exception: Lambda retries, then the dead-letter queue keeps the event with its reason.
# - A redrive goes to the one function that failed; a poison message needs a person.
# - A replay of finished orders starts nothing: no second charge, no second e-mail.
#
# **Next:** [9 · The event that was never sent](10_the_event_that_was_never_sent.ipynb)
