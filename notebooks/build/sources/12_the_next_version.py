# %% [markdown]
# # 12 · The next version
#
# ![The system, with the bus, the archive and the dead-letter queues highlighted](../docs/pictures/12_the_next_version.svg)
#
# Your code changes every week, but the events that it published are still there. In
# this notebook you publish events of other shapes to today's consumers. Afterwards you
# can say which changes to an event are harmless, which break a consumer, and how an
# *upcaster* lets new code read old events.
#
# ## The idea: an event outlives its code
#
# An API's response is read once, by the client that sent the request. An event is read
# by consumers that its publisher doesn't know, and sometimes much later: after a retry,
# from an archive, or from a dead-letter queue. Meanwhile, publishers and consumers are
# deployed one after the other, so they never all change to a new version at the same
# moment. For how long can an old event come back?

# %%
import copy
import json
from uuid import uuid4

import boto3
import tour

stack = tour.connect()
customer = tour.customer()

archive = boto3.client("events").describe_archive(
    ArchiveName=stack.outputs["EventArchiveName"]
)
queue = boto3.client("sqs").get_queue_attributes(
    QueueUrl=stack.outputs["DeadLetterQueueUrl"],
    AttributeNames=["MessageRetentionPeriod"],
)["Attributes"]
tour.values(
    archive=f"{archive['RetentionDays']} days",
    dead_letter_queue=f"{int(queue['MessageRetentionPeriod']) // 86400} days",
)

# %% [markdown]
# For 30 days an operator can replay an event from the
# [archive](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html),
# and for 14 days redrive a dead letter. The event arrives exactly as it was published:
# nobody migrates an event.
#
# ## An event recorded earlier
#
# The repository keeps a recorded event of each type, as version 1 published it, and a
# recorded order in each state. Today's code has to process all of them. You take the
# recorded `OrderPlacedEvent`:

# %%
files = tour.ROOT / "tests" / "recorded" / "v1"
recorded = json.loads((files / "events" / "OrderPlacedEvent.json").read_text())
stored = json.loads((files / "orders" / "placed.json").read_text())
tour.values(time=recorded["time"], **recorded["detail"]["metadata"])

# %% [markdown]
# An event is only a message. PaymentProcessing compares it with the stored order, so
# the recorded order has to be in the table before its event arrives. You store it under
# a new id and with your own e-mail address, so that nobody else gets an e-mail:

# %%
orders = boto3.resource("dynamodb").Table(stack.outputs["OrdersTableName"])


def event_of(order_id):
    """A copy of the recorded event for this order, as a row of AuditLog."""
    detail = copy.deepcopy(recorded["detail"])
    detail["data"]["orderId"] = order_id
    names = {"source": recorded["source"], "eventType": recorded["detail-type"]}
    return {**names, "detail": detail}


def restore():
    """Store the recorded order under a new id; return its event."""
    order = {**stored, "orderId": str(uuid4()), "email": customer.email}
    del order["phone"]
    orders.put_item(Item=order)
    return event_of(order["orderId"])


# %%
event = restore()
order_id = event["detail"]["data"]["orderId"]
tour.publish(event)
order, rows = tour.follow(order_id)
tour.sequence(rows, order)

# %%
tour.expect("today's code processed it to the end", order["status"] == "FULFILLED")

# %% [markdown]
# ## A tolerant reader
#
# Suppose that the event came from an older publisher, which didn't yet write all of
# today's optional fields, or from a newer one, which writes a field that today's code
# doesn't know.
#
# **Predict**: which of these two does PaymentProcessing accept?
#
# - the event without `attempt` and `version`
# - the event with a new field `giftNote`
#
# <details><summary>Answer</summary>
#
# Both. The model has a default for each optional field, and it ignores fields that it
# doesn't know. Such a consumer is called a *tolerant reader*: it reads the fields that
# it needs and ignores the rest.
#
# </details>

# %%
older, newer = restore(), restore()
del older["detail"]["metadata"]["attempt"], older["detail"]["metadata"]["version"]
newer["detail"]["data"]["giftNote"] = "Happy birthday!"
ends = {}
for name, event in (("older", older), ("newer", newer)):
    tour.publish(event)
    ends[name], _ = tour.follow(event["detail"]["data"]["orderId"])

tour.table({"event": name, "status": end["status"]} for name, end in ends.items())

# %%
statuses = {end["status"] for end in ends.values()}
tour.expect("both were accepted", statuses == {"FULFILLED"})

# %% [markdown]
# Two things in the model make that possible: `extra="ignore"`, and a default for each
# optional field.

# %%
from orders.events import Frozen, Metadata

tour.source(Frozen)
tour.source(Metadata)

# %% [markdown]
# A tolerant reader isn't careless. With `strict=True`, the model refuses a value of the
# wrong type: `"2"` is text, not a number.
#
# ## Break it
#
# Here are four changes that aren't harmless. You invoke PaymentProcessing with each
# changed event, for an order that has ended, and read the error:
#
# 1. *renamed*: `customer` in place of `customerId`
# 2. *a float*: `totalAmount` is 77.5, in euros instead of minor units (cents)
# 3. *another meaning*: `totalAmount` is 77, in whole euros; the type is the same
# 4. *the next version*: `version` is `"2"`, and the consumers know only `"1"`
#
# **Predict**: PaymentProcessing refuses all four. For three of them it doesn't need the
# stored order. Which is the fourth?
#
# <details><summary>Answer</summary>
#
# Number 3. The model refuses 1 and 2, and there is no model for version 2 of the event.
# But number 3 is a valid event: no schema can see that a number means something else.
# PaymentProcessing refuses it because it compares the event with the stored order. A
# consumer that trusted the event would charge 77 cents.
#
# </details>


# %%
functions = boto3.client("lambda")


def error_of(change):
    """The changed event, and the error with which PaymentProcessing refuses it."""
    event = event_of(order_id)
    change(event["detail"]["metadata"], event["detail"]["data"])
    delivered = {"detail-type": event["eventType"], **event}
    response = functions.invoke(
        FunctionName=stack.function("paymentProcessing"), Payload=json.dumps(delivered)
    )
    return event, json.load(response["Payload"])["errorMessage"]


changes = {
    "renamed": lambda meta, data: data.update(customer=data.pop("customerId")),
    "a float": lambda meta, data: data.update(totalAmount=77.5),
    "another meaning": lambda meta, data: data.update(totalAmount=77),
    "the next version": lambda meta, data: meta.update(version="2"),
}
refused = {name: error_of(change) for name, change in changes.items()}
tour.table({"change": name, "error": error} for name, (_, error) in refused.items())

# %%
errors = {name: error for name, (_, error) in refused.items()}
tour.expect("the error names the missing field", "data.customerId" in errors["renamed"])
tour.expect("a float isn't a valid amount", "valid integer" in errors["a float"])
tour.expect("the stored order says otherwise", "says 7750" in errors["another meaning"])
tour.expect("the order is unchanged", tour.order(order_id) == order)

# %% [markdown]
# When such an event comes from the bus, it isn't lost. Lambda tries it three times,
# with pauses of 1 and 2 seconds here, and of 1 and 2 minutes on AWS. Then the
# dead-letter queue keeps it, with the reason. You publish the event of version 2:

# %%
event, _ = refused["the next version"]
tour.publish(event)
dead_letter = tour.dead_letter_of(order_id, seconds=400)
tour.values(consumer=dead_letter.consumer, reason=dead_letter.reason)

# %%
tour.expect(
    "the event is kept", dead_letter.event["detail"]["metadata"]["version"] == "2"
)

# %% [markdown]
# The reason says what to do: **deploy the consumers of a version before its producer.**
# A consumer that knows versions 1 and 2 does no harm while nobody publishes version 2.
# A producer that is deployed first fills the dead-letter queue. Nothing is lost,
# because a redrive delivers the events once the consumers are deployed, but until then
# the orders wait.
#
# ## A check before the deploy
#
# You don't want to learn about a breaking change from a dead-letter queue. Each event's
# JSON Schema was recorded as well, and a test compares today's models with it.
# `breaking_changes` is that comparison. You change the schema of `OrderPlacedEvent` in
# memory and ask what each change breaks:

# %%
from verification.contract.evolution import breaking_changes

schema = json.loads((files / "schemas" / "OrderPlacedEvent.json").read_text())


def breaks(change):
    new = copy.deepcopy(schema)
    data = new["properties"]["data"]
    change(data["properties"], data["required"])
    return list(breaking_changes(schema, new)) or ["nothing"]


text = {"type": "string"}
found = {
    "add giftNote": breaks(lambda fields, _: fields.update(giftNote=text)),
    "make coupon required": breaks(
        lambda fields, required: (fields.update(coupon=text), required.append("coupon"))
    ),
    "rename customerId": breaks(
        lambda fields, _: fields.update(customer=fields.pop("customerId"))
    ),
    "make totalAmount a float": breaks(
        lambda fields, _: fields["totalAmount"].update(type="number")
    ),
}
tour.table({"change": name, "breaks": each} for name, each in found.items())

# %%
harmless = [name for name, each in found.items() if each == ["nothing"]]
tour.expect("only the new optional field is harmless", harmless == ["add giftNote"])

# %% [markdown]
# On AWS the [schema
# registry](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema.html) can
# hold such schemas, and can discover them from a bus. It doesn't stop a deploy, but a
# test in your own build does.
#
# ## Version 2, and an upcaster
#
# Suppose that a breaking change is necessary: the amount and its currency become one
# field, `amount`. This is the model of version 2, for a consumer of payments that you
# write:

# %%
from typing import Literal

from orders.events import EventData


class Metadata2(Metadata):
    version: Literal["2"] = "2"


class Amount(Frozen):
    value: int
    currency: str


class PaymentCompleted2(EventData):
    payment_id: str
    amount: Amount


class PaymentCompletedEvent2(Frozen):
    metadata: Metadata2
    data: PaymentCompleted2


# %% [markdown]
# Old events still arrive. An **upcaster** is a pure function that turns an event of one
# version into the next version. It runs before the model, so that the rest of your code
# knows only the newest version:


# %%
def from_1_to_2(detail):
    data = dict(detail["data"])
    amount = {"value": data.pop("totalAmount"), "currency": data.pop("currency")}
    metadata = {**detail["metadata"], "version": "2"}
    return {"metadata": metadata, "data": {**data, "amount": amount}}


UPCASTERS = {"1": from_1_to_2}


def read(detail):
    """The event in the newest version, whatever version it was published in."""
    while upcast := UPCASTERS.get(detail["metadata"].get("version", "1")):
        detail = upcast(detail)
    return PaymentCompletedEvent2.model_validate(detail)


# %% [markdown]
# *Pure* means that it changes nothing, not even its argument, and always returns the
# same result for the same event. So the row in the audit log stays as it was published.
# For a third version, you add one function and one line in `UPCASTERS`; `from_1_to_2`
# stays as it is.
#
# You read three events with it: a recorded one, one that was just published for your
# order, and one of version 2.

# %%
old_payment = json.loads((files / "events" / "PaymentCompletedEvent.json").read_text())
[today] = [row["detail"] for row in rows if row["eventType"] == "PaymentCompletedEvent"]
published = {
    "recorded": old_payment["detail"],
    "in the audit log": today,
    "version 2": from_1_to_2(today),
}
before = copy.deepcopy(published)
events = {name: read(detail) for name, detail in published.items()}
tour.table(
    {
        "event": name,
        "published as": published[name]["metadata"]["version"],
        "read as": each.metadata.version,
        "amount": f"{each.data.amount.value} {each.data.amount.currency}",
    }
    for name, each in events.items()
)

# %%
tour.expect("the upcaster is pure", published == before)
tour.expect(
    "each upcast event still reports the same fact",
    all(
        events[name].metadata.event_id == detail["metadata"]["eventId"]
        for name, detail in published.items()
    ),
)

# %% [markdown]
# The system itself does it differently: `decode` looks the class up by version, and
# `VERSIONS` has the classes of every version that was ever published. So far there's
# one version.

# %%
from orders.events import decode

tour.source(decode)

# %% [markdown]
# | | a class for each version | an upcaster |
# |---|---|---|
# | a step gets | either of two classes, and has to handle both | the newest class only |
# | an old event keeps | everything that it said | whatever the newest model can express |
# | use it for | a few versions that differ in meaning | many versions with the same meaning |
#
# ## Lab 12.1: read an event of version 0
#
# Suppose that there was a version 0 of `OrderPlacedEvent`, and that some of its events
# are still in an archive. The amount was decimal text, and the customer's id had
# another name:

# %%
old = copy.deepcopy(recorded["detail"])
old["metadata"]["version"] = "0"
old["data"]["customer"] = old["data"].pop("customerId")
old["data"]["amount"] = f"{old['data'].pop('totalAmount') / 100:.2f}"
tour.values(**old["data"])

# %% [markdown]
# Write `upcast(detail)`: it returns the detail of version `"1"`, with `customerId`, and
# with `totalAmount` in whole minor units. It returns a detail of any other version
# unchanged. The check stores new orders, passes their events to your function in
# version 0, and delivers the results to the running stack. PaymentProcessing compares
# each field with the stored order. It has to accept each event and to charge each order
# once.
#
# <details><summary>Hint</summary>
#
# What's `int(float("18.90") * 100)`? Try it. `decimal.Decimal` is exact.
#
# </details>


# %% tags=["exercise"]
def upcast(detail):
    return detail


tour.check("12.1", upcast)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# from decimal import Decimal
#
#
# def upcast(detail):
#     if detail["metadata"].get("version") != "0":
#         return detail
#     data = dict(detail["data"])
#     data["customerId"] = data.pop("customer")
#     data["totalAmount"] = int(Decimal(data.pop("amount")) * 100)
#     return {"metadata": {**detail["metadata"], "version": "1"}, "data": data}
#
#
# tour.check("12.1", upcast)
# ```
#
# A currency without cents, such as JPY, would need its own factor; this shop sells in
# EUR only.
#
# </details>

# %% [markdown]
# ## Recap
#
# - Events outlive code: an archive, a retry or a redrive brings back an event that was
#   published long ago.
# - A new optional field is harmless to a tolerant reader. A field that is renamed, is
#   removed or gets another meaning needs a new version.
# - A schema check finds a changed shape before the deploy, but not a changed meaning;
#   compare an event with what you have stored.
# - An upcaster turns an old event into one of the newest version, and changes nothing
#   that is stored.
# - Deploy consumers first, then producers.
#
# The rules of this system are in
# [docs/architecture.md](../docs/architecture.md#how-events-evolve).
#
# **Next:** [13 · Your own service](13_your_own_service.ipynb)
