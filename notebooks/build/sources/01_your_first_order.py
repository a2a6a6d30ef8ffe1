# %% [markdown]
# # 1 · Your first event, your first order
#
# ![The system, with the bus, OrderService and AuditLogger highlighted](../docs/pictures/01_your_first_order.svg)
#
# In this notebook you put an event on a bus and find it in the audit log. Then you order a
# coffee grinder, and watch three functions process the order without calling each other.
#
# It takes about ten minutes. Run the cells from top to bottom, with Shift+Enter.

# %% [markdown]
# ## Connect
#
# `tour` finds the running stack, or starts one on your machine, which takes some seconds. From
# then on, plain `boto3` calls it: the same calls that you would make on AWS.

# %%
import tour

stack = tour.connect()

# %% [markdown]
# ## Publish an event
#
# An **event** says that something has happened. A program *publishes* it on a **bus**. A
# consumer has a **rule** on the bus, which delivers the events that match it. The publisher
# doesn't know its consumers.
#
# On AWS the bus is [Amazon EventBridge](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-what-is.html),
# and you publish with `put_events`. An event has a *source* (who says it), a *detail type* (what
# kind of event it is) and a *detail* (the facts, as JSON). Source and type here are your own:

# %%
import json

import boto3

events = boto3.client("events")
entry = {
    "EventBusName": stack.outputs["EventBusName"],
    "Source": "workshop.reader",
    "DetailType": "GreetingSentEvent",
    "Detail": json.dumps({"greeting": "Hello, bus!"}),
}
response = events.put_events(Entries=[entry])
event_id = response["Entries"][0]["EventId"]
event_id

# %% [markdown]
# EventBridge accepted the event and gave it an id. That was all: `put_events` doesn't wait for
# anybody to react.
#
# ## Find it in the audit log
#
# Did anybody listen? One function of this system consumes *every* event: **AuditLogger**. It
# stores each one in the table AuditLog, under the id that you have just got. You query the table
# until the row is there:

# %%
from boto3.dynamodb.conditions import Key

audit_log = boto3.resource("dynamodb").Table(stack.outputs["AuditLogTableName"])


def logged():
    return audit_log.query(KeyConditionExpression=Key("eventId").eq(event_id))["Items"]


[row] = tour.wait_until(logged, "your event in AuditLog")
row["detail"]

# %%
tour.expect(
    "AuditLog has the event that you published", row["source"] == "workshop.reader"
)

# %% [markdown]
# You have published your first event. It went over the bus, a rule matched it, a Lambda function
# was invoked with it, and a row was written. No other function was invoked: no other rule
# matches your event.
#
# ## Become a customer
#
# The shop's customers sign in with [Amazon Cognito](https://docs.aws.amazon.com/cognito/latest/developerguide/what-is-amazon-cognito.html).
# `tour.customer()` signs one up, signs it in and keeps its token. Notebook 3 looks at the token.

# %%
customer = tour.customer()
tour.table(customer.get("/products")["products"])

# %% [markdown]
# The amounts are in **minor units**: 7900 means 79.00 EUR.
#
# ## Order
#
# **Predict.** You are going to send a product, a quantity and a payment method. What will the
# order's `status` be in the response: `PLACED`, `PAID` or `FULFILLED`?
#
# <details><summary>Answer</summary>
#
# `PLACED`. OrderService writes the order, publishes one event and responds. Everything else
# happens after the response.
#
# </details>

# %%
wish = {"items": [{"sku": "GRINDER", "quantity": 1}], "paymentMethod": "tok_visa"}
order = customer.post("/orders", wish)
tour.values(
    status=order["status"], total=order["totalAmount"], currency=order["currency"]
)

# %%
tour.expect("the response came before the payment", order["status"] == "PLACED")

# %% [markdown]
# ## Watch
#
# Now the other functions react. `tour.follow` waits until the order has its final status and the
# customer was notified. The first order takes a few seconds: each function starts for the first
# time, which AWS calls a *cold start*.

# %%
stored, rows = tour.follow(order["orderId"])
tour.table(rows, "eventType", "source", "timestamp")

# %% [markdown]
# Three events, from three publishers. Here they are as a picture:

# %%
tour.sequence(rows, stored)

# %% [markdown]
# Read it from top to bottom. OrderService published `OrderPlacedEvent`. That event (dashed)
# reached PaymentProcessing, which charged the card and published `PaymentCompletedEvent`. That
# one reached Fulfillment, and also OrderStatusUpdater, which set the status `PAID`. And so on.
#
# This way of working together is called
# [**choreography**](https://docs.aws.amazon.com/prescriptive-guidance/latest/cloud-design-patterns/saga-choreography.html):
# no function calls another, and no function knows the whole. Each reacts to one event, does one
# step, and publishes the next event.

# %%
kinds = [row["eventType"] for row in rows]
tour.expect(
    "the payment came before the fulfilment",
    kinds[1:] == ["PaymentCompletedEvent", "FulfillmentCompletedEvent"],
)

# %% [markdown]
# ## The code
#
# This is the whole of Fulfillment's Lambda function. It takes one event, does one step, and
# publishes one event:

# %%
from handlers import fulfillment

tour.source(fulfillment)

# %% [markdown]
# And this is the step. Where does it say which function comes next? Nowhere. It returns an
# event; the rules on the bus decide who gets it.

# %%
from orders.choreography import fulfill

tour.source(fulfill)

# %% [markdown]
# ## Break it
#
# What if you name your own price? **Predict**: an order for one cent, an order at the usual
# price, or an error?
#
# <details><summary>Answer</summary>
#
# An error, 422: the API accepts no field that it doesn't know. Prices come from the server's
# catalogue. Nothing was written, and no event was published.
#
# </details>

# %%
from urllib.error import HTTPError

try:
    customer.post("/orders", {**wish, "totalAmount": 1})
except HTTPError as error:
    status, problem = error.code, json.load(error)
tour.values(status=status, title=problem["title"], field=problem["errors"][0]["loc"])

# %%
tour.expect("the API refused the order", status == 422)

# %% [markdown]
# ## Lab 1.1: a declined card
#
# Place an order with the payment method `tok_declined`, and follow it. How many events do you
# expect, and which? Then hand the order's id to `check`, which looks at what the stack did.

# %% tags=["exercise"]
declined_id = None  # the id of your order

tour.check("1.1", declined_id)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# declined = customer.post("/orders", {**wish, "paymentMethod": "tok_declined"})
# declined_id = declined["orderId"]
# tour.follow(declined_id)
# tour.check("1.1", declined_id)
# ```
#
# </details>
#
# The stack checks every lab in these notebooks by what it then does, so there is more than one
# right solution.

# %% [markdown]
# ## Watch it live
#
# In JupyterLab the next cell shows the storefront's picture of your order, lit by what the audit
# log says. Its buttons send a duplicate of an event, delay one, take the payment gateway down
# and up, and replay the order. (Where no widget runs, you see the sequence diagram.) Place
# another order and show it while it's being processed:
# `canvas.order_id = customer.post("/orders", wish)["orderId"]`

# %%
canvas = tour.canvas(order["orderId"])
canvas

# %% [markdown]
# The same picture is in the shop: `npm start` prints the URL of the **storefront**. And your
# orders from this notebook show in the terminal of `npm start`, too.
#
# ## Recap
#
# - You publish an event with `put_events`; rules on the bus decide which functions get it.
# - The API responds as soon as the order is stored and its first event is published.
# - In a choreography no function calls another; AuditLog shows afterwards what happened.
#
# **Next:** [2 · What was deployed](02_what_was_deployed.ipynb) shows which rule delivers which
# event to which function.
