# %% [markdown]
# # 1 · Your first event, your first order
#
# ![The system, with the bus, OrderService and AuditLogger highlighted](../docs/pictures/01_your_first_order.svg)
#
# In this notebook you put an event on a bus and find it in the audit log. Then you order a
# coffee grinder and watch several functions process the order without calling each other.
#
# It takes about ten minutes. The outputs that you see were saved when the authors ran it. Clear
# them first (*Edit → Clear Outputs of All Cells*), so that you can make predictions of your own.
# Then run the cells from top to bottom, with Shift+Enter.

# %% [markdown]
# ## Connect
#
# A **stack** is the system as it's deployed, with all its resources. `tour` finds the running
# one, or starts one on your machine, which takes a few seconds. From then on, plain `boto3`
# talks to that stack, with the same calls that you would make on AWS.

# %%
import tour

stack = tour.connect()

# %% [markdown]
# ## Publish an event
#
# An **event** says that something has happened. A program *publishes* it on a **bus**. A
# **rule** on the bus delivers the events that match it to a *consumer*, such as a function. The
# publisher doesn't know who its consumers are.
#
# On AWS the bus is [Amazon
# EventBridge](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-what-is.html), and
# you publish with `put_events`. An event has a *source* (who published it), a *detail type*
# (what kind of event it is) and a *detail* (the facts, as JSON). This source and this type are
# your own:

# %%
import json

import boto3

entry = {
    "EventBusName": stack.outputs["EventBusName"],
    "Source": "workshop.reader",
    "DetailType": "GreetingSentEvent",
    "Detail": json.dumps({"greeting": "Hello, bus!"}),
}
response = boto3.client("events").put_events(Entries=[entry])
event_id = response["Entries"][0]["EventId"]
event_id

# %% [markdown]
# EventBridge accepted the event and gave it an id. That's all: `put_events` doesn't wait for
# anyone to react.
#
# ## Find it in the audit log
#
# Did anything receive it? One function of this system consumes *every* event: **AuditLogger**.
# It stores each one in the table AuditLog, under the id that you've just received. Query the
# table until the row is there:

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
# You've published your first event. It reached the bus, a rule matched it, a Lambda function
# was invoked with it, and the function wrote a row. No other function was invoked, because no
# other rule matches your event.
#
# ## Become a customer
#
# The shop's customers sign in with [Amazon
# Cognito](https://docs.aws.amazon.com/cognito/latest/developerguide/what-is-amazon-cognito.html).
# `tour.customer()` signs up a new customer, signs them in and keeps their token, which proves
# to the API who they are. Notebook 3 looks at the token.

# %%
customer = tour.customer()
tour.table(customer.get("/products")["products"])

# %% [markdown]
# A `sku` (stock-keeping unit) identifies a product. The prices are in **minor units**: 7900 means
# 79.00 EUR.
#
# ## Order
#
# **Predict.** You're going to send a product, a quantity and a payment method. (`tok_visa`
# stands for a valid card.) What will the order's `status` be in the response: `PLACED`, `PAID`
# or `FULFILLED`?
#
# <details><summary>Answer</summary>
#
# `PLACED`. The function behind the API, OrderService, stores the order, publishes one event and
# responds. It doesn't wait for the payment.
#
# </details>

# %%
wish = {"items": [{"sku": "GRINDER", "quantity": 1}], "paymentMethod": "tok_visa"}
order = customer.post("/orders", wish)
tour.values(
    status=order["status"], total=order["totalAmount"], currency=order["currency"]
)

# %%
tour.expect("the API didn't wait for the payment", order["status"] == "PLACED")

# %% [markdown]
# ## Watch
#
# Now the other functions react. `tour.follow` waits until the order has its final status and
# the customer has been notified. The first order takes a few seconds, because each function
# starts for the first time. AWS calls that a *cold start*.

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
# event reached Fulfillment, and also OrderStatusUpdater, which set the status to `PAID`. And so
# on. (An event has the time at which AuditLogger logged it. AuditLogger is one consumer among
# others, and a faster one can have reacted some milliseconds earlier.)
#
# This pattern is called
# [**choreography**](https://docs.aws.amazon.com/prescriptive-guidance/latest/cloud-design-patterns/saga-choreography.html):
# no function calls another, and no function knows the whole flow. Each one reacts to an event,
# does one step, and publishes the next event.

# %%
kinds = [row["eventType"] for row in rows]
tour.expect(
    "the payment came before the fulfilment",
    kinds[1:] == ["PaymentCompletedEvent", "FulfillmentCompletedEvent"],
)

# %% [markdown]
# ## The code
#
# This is Fulfillment's whole Lambda function. It receives one event, runs one step, and
# publishes the event that the step returns:

# %%
from handlers import fulfillment

tour.source(fulfillment)

# %% [markdown]
# And this is the step. It doesn't say which function comes next. It returns an event, and the
# rules on the bus decide which functions get it.

# %%
from orders.choreography import fulfill

tour.source(fulfill)

# %% [markdown]
# ## Break it
#
# What if you set your own price? **Predict** what you'll get: an order for one cent, an order
# at the usual price, or an error.
#
# <details><summary>Answer</summary>
#
# An error, 422: the API rejects fields that it doesn't know. Prices come from the server's
# catalogue. Nothing is stored, and no event is published.
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
tour.expect("the API rejected the order", status == 422)

# %% [markdown]
# ## Lab 1.1: a declined card
#
# Place an order with the payment method `tok_declined`, and follow it. How many events do you
# expect, and which? Then pass the order's id to `tour.check`, which looks at what the stack
# did.

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
# The labs in these notebooks are graded by what the stack does with your solution, so more than
# one solution is right.

# %% [markdown]
# ## Watch it live
#
# The next cell shows a live picture of your order: a part lights up when the audit log or the
# order shows that it did something. The buttons send a duplicate of an event, delay one, take
# the payment gateway, which charges the cards, down and up again, and replay the order's
# events, that is, deliver them once more. (Where widgets don't run, as on GitHub, you see the
# sequence diagram.) To see an order while it's being processed, place another one and show it:
# `canvas.order_id = customer.post("/orders", wish)["orderId"]`

# %%
canvas = tour.canvas(order["orderId"])
canvas

# %% [markdown]
# The shop's website, the **storefront**, shows the same picture. `npm run notebooks` prints its
# URL, and so does `npm start`. If you start the stack with `npm start` before you open the
# notebooks, your orders show up in its terminal, too.
#
# ## Recap
#
# - You publish an event with `put_events`; rules on the bus decide which functions get it.
# - The API responds as soon as the order is stored and its first event is published.
# - In a choreography, no function calls another; AuditLog shows what happened.
#
# **Next:** [2 · What was deployed](02_what_was_deployed.ipynb) shows which rule delivers which
# event to which function.
