# %% [markdown]
# # 10 · The event that was never sent
#
# ![The system, with the Reconciler and Orders highlighted](../docs/pictures/10_the_event_that_was_never_sent.svg)
#
# In this notebook you crash a function between its two most important calls, find the order
# that no other function knows about, and let the Reconciler heal it.

# %%
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The idea
#
# OrderService makes two calls: it writes the order, then it publishes `OrderPlacedEvent`. They
# aren't one transaction, because DynamoDB and EventBridge are two services. The function can
# crash between them. Then the order is stored, and no other function ever learns of it.
#
# Retries and dead letters don't help here: there is no event to retry. Something has to look
# for such orders. That's the job of the **Reconciler**, a function that runs every minute.
#
# Here are the two calls: `place_order` writes the order, and `_publish` publishes its event.

# %%
from handlers import order_service

tour.source(order_service.create_order)

# %% [markdown]
# ## Crash between them
#
# You play the function that crashes: you store an order with the system's own code, and stop
# there. Each open order has a `dueAt`, the time from which the Reconciler may look at it.
# Usually that's a minute later. You set it to now, so that you don't have to wait.

# %%
import boto3
from orders import clock
from orders.aws.store import OrdersTable
from orders.events import new_id
from orders.model import Customer, Order, OrderRequest

store = OrdersTable(boto3.client("dynamodb"), stack.outputs["OrdersTableName"])
request = OrderRequest.model_validate(
    {"items": [{"sku": "MUG", "quantity": 3}], "paymentMethod": "tok_visa"}
)


def place_and_crash():
    """Store an order as OrderService does, and don't publish its event."""
    now = clock.timestamp(clock.now())
    ids = {"order_id": new_id(), "request_id": new_id(), "event_id": new_id()}
    me = Customer(customer_id="reader", email=customer.email)
    store.put(Order.place(request, me, at=now, due_at=now, **ids))
    return ids["order_id"]


order_id = place_and_crash()
tour.values(status=tour.order(order_id)["status"])

# %% [markdown]
# **Predict**: without the Reconciler, what would the audit log show for this order in an hour?
#
# <details><summary>Answer</summary>
#
# Nothing. No event was published, so no function was invoked.
#
# </details>

# %%
tour.expect("the order is stored", "orderId" in tour.order(order_id))

# %% [markdown]
# ## How the Reconciler finds it
#
# An order is *open* until its status is final and its customer has been notified. The index
# `openOrders` sorts open orders by `dueAt`. The index is **sparse**: a closed order has no
# `dueAt`, so it isn't in the index. The cost of a search grows with the number of open orders,
# not with the number of all orders. ([Sparse
# indexes](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-indexes-general-sparse-indexes.html))
#
# The index's partition key is a **shard**, a number that spreads the writes over several
# partitions: 0 to 19 for young orders, 20 and 21 for orders that have been open for more than
# an hour.

# %%
from boto3.dynamodb.conditions import Key

orders = boto3.resource("dynamodb").Table(stack.outputs["OrdersTableName"])


def due_in(shard):
    """The ids of the shard's orders that are due."""
    now = clock.timestamp(clock.now())
    found = orders.query(
        IndexName="openOrders",
        KeyConditionExpression=Key("openShard").eq(shard) & Key("dueAt").lte(now),
    )
    return [item["orderId"] for item in found["Items"]]


shard = tour.order(order_id).get("openShard")
found = due_in(shard) if shard else ["the Reconciler was faster"]
tour.values(shard=shard, due=found)

# %% [markdown]
# ## Heal it
#
# You don't have to wait for the Reconciler's next run. Invoke it yourself:

# %%
functions, name = boto3.client("lambda"), stack.function("reconciler")
response = functions.invoke(FunctionName=name, Payload=b"{}")
tour.expect("the run succeeded", "FunctionError" not in response)

# %%
stored, rows = tour.follow(order_id)
tour.sequence(rows, stored)

# %%
tour.expect("the order has ended", stored["status"] == "FULFILLED")
tour.expect("the Reconciler's event is attempt 2", rows[0]["attempt"] == 2)

# %% [markdown]
# The Reconciler published `OrderPlacedEvent`, as OrderService would have done, and the other
# functions did the rest. The event's `attempt` is 2: OrderService's attempt to publish it
# counts as the first. Whichever event was lost, the Reconciler publishes the order's first one
# or, for a cancelled order, its `OrderCancelledEvent`. Each step that has already run finds its
# result stored and publishes its event again. So the chain continues from where it broke.

# %%
from orders.choreography import reconcile

tour.source(reconcile)

# %% [markdown]
# ## Break it: four Reconcilers at once
#
# **Predict**: four runs of the Reconciler find the same due order. How often is its event
# published?
#
# <details><summary>Answer</summary>
#
# Once. A run claims an order by *compare-and-set*: it moves `dueAt` to a later time, on the
# condition that `dueAt` still has the value that the run has read. Only one run's write
# succeeds.
#
# </details>

# %%
from concurrent.futures import ThreadPoolExecutor

twin = place_and_crash()
with ThreadPoolExecutor(4) as pool:
    runs = [
        pool.submit(functions.invoke, FunctionName=name, Payload=b"{}")
        for _ in range(4)
    ]
outcomes = [run.result().get("FunctionError", "ok") for run in runs]
stored, rows = tour.follow(twin)
tour.tree(rows, stored)

# %%
kinds = [row["eventType"] for row in rows]
tour.expect("no run failed", set(outcomes) == {"ok"})
tour.expect("the event was published once", kinds.count("OrderPlacedEvent") == 1)

# %% [markdown]
# ## And an outbox?
#
# The usual alternative is a
# [**transactional outbox**](https://docs.aws.amazon.com/prescriptive-guidance/latest/cloud-design-patterns/transactional-outbox.html):
# the order's item is the message, and a DynamoDB stream invokes a function that publishes it.
#
# | | two calls and a Reconciler (here) | outbox with a DynamoDB stream |
# |---|---|---|
# | latency of the first event | one `PutEvents` call | the same, after the stream has been read |
# | a crash between the two calls | healed within about two minutes | can't happen |
# | an event that is lost *later* (an outage, a bug, a purge) | healed in the same way | not healed: a stream reports each write once, and keeps it for 24 hours |
# | parts | one scheduled function, one sparse index | a stream, a function, its failure handling, and a Reconciler for the other gaps |
#
# An outbox closes this one gap completely. This system needs the Reconciler for the other gaps
# anyway, and the Reconciler closes this one, too.
#
# ## Lab 10.1: find the orders that are due
#
# Write `due_orders()`, which returns the ids of *all* orders that are due, from every shard.
# The check stores orders whose event was never sent, orders that aren't due yet, and orders
# that have ended. Then it compares your result with the table.


# %% tags=["exercise"]
def due_orders():
    return due_in(0)


tour.check("10.1", due_orders)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def due_orders():
#     return [order_id for shard in range(22) for order_id in due_in(shard)]
#
#
# tour.check("10.1", due_orders)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - Two calls to two services can't be one transaction. Something has to look for the orders
#   that are lost between the two.
# - The Reconciler reads open orders only, claims each by compare-and-set, and publishes one
#   event.
# - Because every step can be repeated, one remedy heals every kind of lost event: publish the
#   order's first event again.
#
# **Next:** [11 · Changing your mind](11_changing_your_mind.ipynb) cancels an order.
