# %% [markdown]
# # 17 · Find the bug
#
# ![The system, with the tables, the queues and the logs
# highlighted](../docs/pictures/17_find_the_bug.svg)
#
# In this notebook the stack gets a bug, and you find the faulty function from evidence alone:
# orders, audit log, ledger, queues and logs. Afterwards you can get from a symptom to its cause
# in any event-driven system.
#
# There are three levels. The first is a worked example; on the second and the third you are on
# your own, with three hints each. The notebook needs the stack on your machine: it replaces the
# functions' code, and refuses to do that on AWS.

# %%
import json

import boto3
import tour
from boto3.dynamodb.conditions import Attr
from notebooks import bug_hunt

stack = tour.connect()

# %% [markdown]
# ## The idea
#
# A debugger doesn't help with a system whose functions only exchange events. But each function
# leaves evidence, in five places:
#
# | place | what it says | who writes it |
# |---|---|---|
# | Orders | the result of each step, and the history of the status | the step's function |
# | AuditLog | what was published, and what caused it | AuditLogger |
# | GatewayLedger | how often money moved | the payment provider |
# | the dead-letter queue | which events failed for good, and why | Lambda |
# | the logs | what each function did, and its errors | each function |
#
# A system makes promises, such as *nobody is charged twice*. A bug is a **broken promise**, and
# it shows where two of these places contradict each other. So you test the promises one by one,
# on every order, until one fails. Then you ask which function should have kept it.
#
# ## The tools
#
# You know all of these calls from earlier notebooks. The hunt names its orders A, B, C and so
# on. `orders`, which you get below, maps these names to the orders' ids.

# %%
ledger_table = boto3.resource("dynamodb").Table(stack.outputs["GatewayLedgerTableName"])


def order(letter):
    return tour.order(orders[letter])


def rows(letter):
    """The order's rows of AuditLog, oldest first."""
    return tour.rows_of(orders[letter])


def ledger(letter):
    """All of the provider's rows for the order, whatever their idempotency keys."""
    of_this_order = Attr("reference").eq(orders[letter])
    return ledger_table.scan(FilterExpression=of_this_order)["Items"]


# %%
logs, sqs = boto3.client("logs"), boto3.client("sqs")


def log(letter, function):
    """What a function, such as `paymentProcessing`, logged about the order."""
    group = f"/aws/lambda/{stack.function(function)}"
    found = logs.filter_log_events(
        logGroupName=group, filterPattern=f'"{orders[letter]}"'
    )
    texts = [event["message"] for event in found["events"]]
    return [json.loads(text).get("message") for text in texts if text[0] == "{"]


def dead_letters():
    """Which function gave up, and why; the messages stay in the queue."""
    found = sqs.receive_message(
        QueueUrl=stack.outputs["DeadLetterQueueUrl"],
        MaxNumberOfMessages=10,
        VisibilityTimeout=1,
        WaitTimeSeconds=1,
    )
    records = [json.loads(each["Body"]) for each in found.get("Messages", [])]
    for record in (each for each in records if "requestContext" in each):
        arn, error = record["requestContext"]["functionArn"], record["responsePayload"]
        yield {"function": arn.split(":")[6], **error}


# %% [markdown]
# ## Level 1, a worked example
#
# `start` deploys the running code once more, with one of the [simulator's seeded
# bugs](../docs/sensitivity.md) in it. The same seed always chooses the same bug. During a hunt
# the Reconciler's schedule is disabled, because by healing orders it would destroy evidence.

# %%
hunt = bug_hunt.start(level=1, seed=5)
hunt

# %% [markdown]
# `traffic` places orders and makes things go wrong around them: here, events arrive twice.
# Without the bug, the system copes with all of that.

# %%
orders = hunt.traffic()
orders

# %% [markdown]
# Take the promises one by one. *Each order ends in one final status*, *its customer is notified
# once*, and nobody is charged twice:


# %%
def summary(letter):
    return {
        "order": letter,
        "status": " → ".join(each["status"] for each in order(letter)["statusHistory"]),
        "charges": sum(row["charges"] for row in ledger(letter)),
        "Notification logged": log(letter, "notification"),
    }


tour.table(summary(letter) for letter in orders)

# %% [markdown]
# These three are kept. The next is *each event names the event that caused it*. A's tree has no
# loose end. It also shows that `PaymentCompletedEvent` was published twice.

# %%
tour.tree(rows("A"))

# %% [markdown]
# One promise is left: *the parcel that was announced is the one that is stored*. **Predict**:
# which two of the five places do you compare?
#
# <details><summary>Answer</summary>
#
# AuditLog and Orders. `FulfillmentCompletedEvent` announced a parcel, and the order has one in
# `fulfillment`. The event is built from the stored parcel. So the two can differ only if the
# stored parcel was changed afterwards.
#
# </details>


# %%
def parcel(letter):
    shipped = "FulfillmentCompletedEvent"
    events = [
        row["detail"]["data"] for row in rows(letter) if row["eventType"] == shipped
    ]
    announced = {data["trackingId"] for data in events}
    stored = order(letter)["fulfillment"]["trackingId"]
    return {"order": letter, "announced": announced, "stored": stored}


tour.table([parcel("A"), parcel("B")])

# %% [markdown]
# The customer of A waits for a parcel that the shop no longer knows. After the order's end,
# `PaymentCompletedEvent` arrived a second time, and a second tracking id replaced the first.
# Only one function writes `fulfillment`.
#
# Now accuse it: name the function, and say what it does wrong, in the words of this list.

# %%
bug_hunt.kinds()

# %% [markdown]
# An accusation is checked against the evidence on the stack. A wrong one costs nothing:

# %%
hunt.accuse("Notification", "notifies the customer twice")

# %%
verdict = hunt.accuse("Fulfillment", "replaces a stored result")
tour.expect(verdict.hint, verdict.right)

# %% [markdown]
# This is the write as it should be. The bug changed it, as `reveal` shows:

# %%
from orders.aws.store import OrdersTable

tour.source(OrdersTable.record_fulfillment)

# %%
hunt.reveal()

# %% [markdown]
# Four steps led from the symptom to the function. They work for any bug:
#
# 1. List the promises, and test each of them on every order.
# 2. Find two places that contradict each other.
# 3. Ask what is different about the order that shows the contradiction. Here an event arrived
#    twice.
# 4. Ask which function writes the wrong value, or should have written the missing one.
#
# ## Level 2: a bad day
#
# The bugs of this level show only when something else fails as well. The new hunt replaces the
# bug of the last one.

# %%
hunt = bug_hunt.start(level=2, seed=2)
hunt

# %%
orders = hunt.traffic()
orders

# %% [markdown]
# An operator looks at the dead-letter queue first. The forged event contradicts its order, so
# Fulfillment and OrderStatusUpdater should both refuse it. Does the queue contain anything
# else, or is something missing?

# %%
tour.table(dead_letters(), "function", "errorMessage")

# %% [markdown]
# ## Lab 17.1: the bug of level 2
#
# Find the function and what it does wrong. Add cells, and use the calls from above:
# `order("C")`, `rows("C")`, `ledger("C")`, `log("C", "paymentProcessing")`. If you are stuck,
# call `hunt.hint()`, up to three times.

# %% tags=["exercise"]
tour.check("17.1", hunt.accuse("?", "?"))

# %% [markdown]
# <details><summary>Solution</summary>
#
# Every status is right, every customer was notified once, and the queue holds only the forged
# event, once from each consumer. But `ledger("C")` has two charges for one order, under two
# idempotency keys. PaymentProcessing charged, could not store the payment, and was retried, as
# it should be. The second attempt used a new key, so the provider could not recognize the
# charge. The key must be the same in each attempt: the order's id.
#
# ```python
# tour.check("17.1", hunt.accuse("PaymentProcessing", "charges twice"))
# ```
#
# Now `hunt.reveal()` shows the bug.
#
# </details>
#
# ## Level 3: a race and two losses
#
# Two events are lost for good, and the Reconciler has to heal their orders. A third customer
# cancels while the parcel is about to leave.

# %%
hunt = bug_hunt.start(level=3, seed=9)
hunt

# %%
orders = hunt.traffic()
orders

# %% [markdown]
# Every event that follows from the Reconciler's work has an `attempt` greater than 1. That
# separates an order's first run from its repair. For B:


# %%
def published(letter):
    return [
        {name: row[name] for name in ("eventType", "attempt")} for row in rows(letter)
    ]


tour.table(published("B"))

# %% [markdown]
# ## Lab 17.2: the bug of level 3
#
# Find the function and what it does wrong. Again there are three hints.

# %% tags=["exercise"]
tour.check("17.2", hunt.accuse("?", "?"))

# %% [markdown]
# <details><summary>Solution</summary>
#
# A and B are as they should be: cancelled, refunded and notified, without a parcel. C is
# `FULFILLED` and has no `notification`, because the event for Notification was lost. The
# Reconciler did find C: `OrderPlacedEvent` and `PaymentCompletedEvent` are in the log as
# attempt 2. There the chain ends. Fulfillment consumed the second event, found its result
# stored, and published nothing. A step that runs again has to publish again, since nobody knows
# whether its first event arrived.
#
# ```python
# tour.check("17.2", hunt.accuse("Fulfillment", "stores its result without publishing it"))
# ```
#
# </details>
#
# ## Clean up
#
# `end` deploys the original code, and places an order that proves it. The Reconciler runs each
# minute again, and heals the orders that the bug left open.

# %%
hunt.end()

# %% [markdown]
# ## Break it: hunt on
#
# There are four bugs at each level. Without a seed you don't know which one you get:
#
# ```python
# hunt = bug_hunt.start(level=2)
# orders = hunt.traffic()
# ```
#
# These twelve are some of the bugs that the simulator is tested with;
# [docs/sensitivity.md](../docs/sensitivity.md) lists all of them. The simulator finds them
# without you: it checks every promise after every step (`npm run simulate`).
#
# ## Recap
#
# - A bug is a broken promise: test the promises one by one, against the evidence.
# - A bug shows where the evidence contradicts itself: compare the events, the stored orders,
#   the provider's ledger and the logs.
# - Blame the function that writes the wrong value, or that should have written the missing one.
#
# This was the last notebook. [The first page](README.md#what-you-will-be-able-to-do) lists what
# you can do now.
