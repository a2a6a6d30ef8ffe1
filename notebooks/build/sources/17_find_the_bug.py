# %% [markdown]
# # 17 · Find the bug
#
# ![How an order is processed](../docs/architecture.svg)
#
# Something is wrong in production, nobody knows what, and you have no debugger: only orders, the audit log, the provider's ledger, queues and
# logs. In this notebook the stack gets a bug, and you find the function that is to blame, from evidence alone. Afterwards you can go from a
# symptom to its cause in any event-driven system: **which promise is broken, and who alone could keep it?**
#
# There are three levels. The first is a worked example; at the second and third you are on your own, with three hints each.
#
# This notebook needs the stack on your machine: it replaces the functions' code, and refuses to do that on AWS.

# %%
import json

import boto3
import tour
from boto3.dynamodb.conditions import Attr

from notebooks import bug_hunt

stack = tour.connect()

# %% [markdown]
# ## Where to look
#
# Five places keep evidence. Each of them is one or two calls that you know from the notebooks before:
#
# | place | what it says | who writes it |
# |---|---|---|
# | Orders | the result of each step, and the history of the status | the step's function |
# | AuditLog | what was published, and what caused it | AuditLogger |
# | GatewayLedger | how often money moved | the payment provider |
# | the dead-letter queue | which events could not be handled, and why | Lambda |
# | the logs | what each function did, and on what it failed | each function |
#
# Any two of them can contradict each other. A bug shows where they do.

# %%
tables = boto3.resource("dynamodb")
orders_table = tables.Table(stack.outputs["OrdersTableName"])
ledger_table = tables.Table(stack.outputs["GatewayLedgerTableName"])


def order(letter):
    key = {"orderId": orders[letter]}
    return orders_table.get_item(Key=key, ConsistentRead=True)["Item"]


def rows(letter):
    """The order's rows of AuditLog, oldest first."""
    return tour.rows_of(orders[letter])


def ledger(letter):
    """The provider's rows, under whatever key: `reference` is the order's id."""
    of_this_order = Attr("reference").eq(orders[letter])
    return ledger_table.scan(FilterExpression=of_this_order)["Items"]


# %%
logs, sqs = boto3.client("logs"), boto3.client("sqs")


def log(letter, function):
    """What a function, such as `paymentProcessing`, logged about the order."""
    group, pattern = f"/aws/lambda/{stack.function(function)}", f'"{orders[letter]}"'
    lines = logs.filter_log_events(logGroupName=group, filterPattern=pattern)["events"]
    texts = [line["message"] for line in lines if line["message"].startswith("{")]
    return [json.loads(text).get("message") for text in texts]


def dead_letters():
    """Function → why it gave up; the messages stay in the queue."""
    found = sqs.receive_message(
        QueueUrl=stack.outputs["DeadLetterQueueUrl"],
        MaxNumberOfMessages=10,
        VisibilityTimeout=1,
        WaitTimeSeconds=1,
    ).get("Messages", [])
    reasons = {}
    for record in (json.loads(message["Body"]) for message in found):
        function = record["requestContext"]["functionArn"].split(":")[6]
        reasons[function] = record["responsePayload"]["errorMessage"]
    return reasons


# %% [markdown]
# ## Level 1, a worked example
#
# `start` deploys the running package once more, with one of the [simulator's seeded bugs](../docs/sensitivity.md) in it. With a seed it is
# always the same bug.

# %%
hunt = bug_hunt.start(level=1, seed=5)
hunt

# %% [markdown]
# `traffic` places orders and lets things go wrong around them. A system without a bug bears all of it: each event may arrive twice.

# %%
orders = hunt.traffic()
orders

# %% [markdown]
# Take the promises one by one. *Each order ends in one final status*:


# %%
def history(letter):
    return " → ".join(change["status"] for change in order(letter)["statusHistory"])


{letter: history(letter) for letter in orders}

# %% [markdown]
# That is kept. *Its customer is notified once*: Notification logs each message that it sends.

# %%
{letter: log(letter, "notification") for letter in orders}

# %% [markdown]
# Kept as well. And the money? One row for each order, with one charge, or none where the card was declined:

# %%
{letter: [int(row["charges"]) for row in ledger(letter)] for letter in orders}

# %% [markdown]
# *Each event names the event that caused it*: the tree of A has no loose end, and says that `PaymentCompletedEvent` was published twice.

# %%
tour.tree(rows("A"))

# %% [markdown]
# **Predict**: one promise is left: *the parcel that was announced is the one that is stored*. Which two of the five places do you compare?
#
# <details><summary>Answer</summary>
#
# AuditLog and Orders. What was announced is in `FulfillmentCompletedEvent`, and the customer's e-mail was made from it; what is stored is the
# order's `fulfillment`. Each event is built from what is stored, so the two can't differ, unless what is stored changed afterwards.
#
# </details>


# %%
def announced(letter):
    shipped = "FulfillmentCompletedEvent"
    events = [row for row in rows(letter) if row["eventType"] == shipped]
    return {row["detail"]["data"]["trackingId"] for row in events}


parcels = {
    letter: {
        "announced": announced(letter),
        "stored": order(letter)["fulfillment"]["trackingId"],
    }
    for letter in "AB"
}
parcels

# %%
assert parcels["A"]["announced"] != {parcels["A"]["stored"]}
assert parcels["B"]["announced"] == {parcels["B"]["stored"]}

# %% [markdown]
# The customer of A waits for a parcel that the shop no longer knows. So the promise "the first write wins" is broken: after the order's end
# `PaymentCompletedEvent` arrived a second time, and a second tracking id replaced the first. Only one function writes `fulfillment`.
#
# Now accuse it: the function, and what it does wrong, in the words of this list.

# %%
bug_hunt.kinds()

# %% [markdown]
# A wrong accusation costs nothing. It is held against the evidence too:

# %%
hunt.accuse("Notification", "notifies the customer twice")

# %%
verdict = hunt.accuse("Fulfillment", "replaces a stored result")
verdict

# %%
assert verdict.right

# %% [markdown]
# This is the write as it should be; `reveal` shows what was deployed in its place.

# %%
from orders.aws.store import OrdersTable

tour.source(OrdersTable.record_fulfillment)

# %%
hunt.reveal()

# %% [markdown]
# Four steps led from the symptom to the function, and they always do:
#
# 1. List the promises, and test each on every order. Most are kept: that is what narrows it down.
# 2. Find two places that contradict each other.
# 3. Ask what is different about the order that shows it. Here an event arrived twice.
# 4. Ask who alone writes the wrong value, or should have written the missing one.
#
# ## Level 2: on a bad day
#
# These bugs show only when something fails. (The next hunt replaces the code of this one.)

# %%
hunt = bug_hunt.start(level=2, seed=2)
hunt

# %%
orders = hunt.traffic()
orders

# %% [markdown]
# The dead-letter queue first, since that is where an operator looks. The forged event contradicts its order, so both of its consumers
# refused it, as they should. Does any other event lie there that shouldn't, or is one missing?

# %%
dead_letters()

# %% [markdown]
# ### Exercise 17.1
#
# Find the function and what it does wrong. Add cells, and use the calls from above: `order("C")`, `rows("C")`, `ledger("C")`,
# `log("C", "paymentProcessing")`. If you are stuck, call `hunt.hint()`, up to three times.

# %% tags=["exercise"]
tour.check("17.1", hunt.accuse("?", "?"))

# %% [markdown]
# <details><summary>Solution</summary>
#
# The statuses are right, every customer was notified once, and nothing is in the queue but the forged event. But the ledger has two charges
# for one order, under two idempotency keys: `ledger("C")`. PaymentProcessing charged, could not store the payment, and was retried, as it
# should be. The second attempt came with a new key, so the provider could not recognize it. The key must be the order's id, in each attempt.
#
# ```python
# tour.check("17.1", hunt.accuse("PaymentProcessing", "charges twice"))
# ```
#
# Now `hunt.reveal()` shows the bug.
#
# </details>
#
# ## Level 3: a race, and what was lost
#
# Here an event is lost for good, and the Reconciler has to heal the order; and a customer cancels while the parcel is about to leave.

# %%
hunt = bug_hunt.start(level=3, seed=9)
hunt

# %%
orders = hunt.traffic()
orders

# %% [markdown]
# The Reconciler counts: what it publishes, and all that follows from it, has an `attempt` greater than 1. That separates the first run of
# an order from its repair. For B:


# %%
def published(letter):
    return [f"{row['eventType']}, attempt {row['attempt']}" for row in rows(letter)]


published("B")

# %% [markdown]
# ### Exercise 17.2
#
# Find the function and what it does wrong. Again there are three hints.

# %% tags=["exercise"]
tour.check("17.2", hunt.accuse("?", "?"))

# %% [markdown]
# <details><summary>Solution</summary>
#
# A and B are as they should be: cancelled and refunded, without a parcel, and notified. C is `FULFILLED`, but has no `notification`: its event
# was lost. The Reconciler did find it: `OrderPlacedEvent` and `PaymentCompletedEvent` are in the log as attempt 2. Then the chain ends.
# Fulfillment consumed the second, found its result stored, and published nothing. A step that runs again has to publish again, since
# nobody knows whether its first event arrived.
#
# ```python
# tour.check("17.2", hunt.accuse("Fulfillment", "stores its result without publishing it"))
# ```
#
# </details>
#
# ## Clean up
#
# `end` deploys the original code, and an order proves it. Orders that the bug left open are healed by the Reconciler, which
# runs each minute again.

# %%
hunt.end()

# %% [markdown]
# ## Hunt on
#
# There are four bugs at each level. Without a seed you don't know which one you get:
#
# ```python
# hunt = bug_hunt.start(level=2)
# orders = hunt.traffic()
# ```
#
# These twelve are a few of those that the simulator is tested with: [docs/sensitivity.md](../docs/sensitivity.md) lists them all. It finds each
# of them without a person, because it checks every promise after every step: `npm run simulate`.
#
# ## Recap
#
# - A symptom is a broken promise; find it by testing the promises one by one, on evidence.
# - Evidence contradicts itself where a bug is: compare what was announced, what is stored, what money did, and what was logged.
# - The function to blame is the one that alone writes the wrong value, or should have written the missing one.
#
# That was the last notebook. To start over: [1 · Your first order](01_your_first_order.ipynb)
