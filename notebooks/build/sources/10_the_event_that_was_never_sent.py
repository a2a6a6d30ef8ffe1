# %% [markdown]
# # 9 · The event that was never sent
#
# ![Sequence of one order](../docs/sequence.svg)
#
# What if the first blue arrow is missing?
#
# OrderService writes the order, then publishes its event: two calls. Between them the function may die. The order is in the table, the
# customer may even have an order number, and nobody will ever hear of it. Unless something looks for it.

# %%
import boto3
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The gap
#
# Here are the two calls, in OrderService. `place_order` writes; `publish` comes after.

# %%
from handlers import order_service

tour.source(order_service.create_order)

# %% [markdown]
# ## Die in it
#
# You now are the function that dies. You write an order with the system's own code, and stop. (It is due at once, so that you need not
# wait a minute for the reconciler.)

# %%
from orders import clock
from orders.aws.store import OrdersTable
from orders.events import new_id
from orders.model import Customer, Order, OrderRequest

request = OrderRequest.model_validate(
    {"items": [{"sku": "FILTERS-100", "quantity": 3}], "paymentMethod": "tok_visa"}
)
me = Customer(customer_id="the-one-who-never-heard", email=customer.email)
at = clock.timestamp(clock.now())
ids = {"order_id": new_id(), "request_id": "request-that-died", "event_id": new_id()}
order = Order.place(request, me, at=at, due_at=at, **ids)

store = OrdersTable(boto3.client("dynamodb"), stack.outputs["OrdersTableName"])
placed, applied = store.put(order)
applied, placed.status, placed.due_at

# %% [markdown]
# **Predict**: what is in AuditLog for this order, now and in an hour, if nobody does anything?
#
# <details><summary>Answer</summary>
#
# Nothing, ever. No event was published, so no function was invoked, and no retry of anything will help: there is nothing to retry.
#
# </details>

# %%
tour.rows_of(order.order_id)

# %%
assert tour.rows_of(order.order_id) == []

# %% [markdown]
# ## Who looks
#
# An open order is listed in the index `openOrders`, with the time at which the reconciler should look at it. The index is *sparse*: a
# closed order has neither of its two keys, and so is not in it. The cost of looking grows with the open orders, not with all orders.
# (The key is one of twenty *shards*, so that no single key takes every write. The table has it; the order's model does not.)

# %%
dynamodb, key = boto3.client("dynamodb"), {"orderId": {"S": order.order_id}}
item = dynamodb.get_item(TableName=stack.outputs["OrdersTableName"], Key=key)["Item"]
due = dynamodb.query(
    TableName=stack.outputs["OrdersTableName"],
    IndexName="openOrders",
    KeyConditionExpression="openShard = :shard AND dueAt <= :now",
    ExpressionAttributeValues={
        ":shard": item["openShard"],
        ":now": {"S": clock.timestamp(clock.now())},
    },
)["Items"]
due

# %%
assert order.order_id in [key["orderId"]["S"] for key in due]

# %% [markdown]
# ## Heal it
#
# The reconciler runs every minute. You need not wait: invoke it. (It may have run by itself just now; that is as good.)

# %%
answer = boto3.client("lambda").invoke(
    FunctionName=stack.function("reconciler"), Payload=b"{}"
)
answer.get("FunctionError", "no error")

# %%
stored, rows = tour.follow(order.order_id)
tour.sequence(rows, stored)

# %% [markdown]
# It published `OrderPlacedEvent`, as OrderService would have, with `attempt` 2. The other functions went on as always.

# %%
assert stored["status"] == "FULFILLED"
assert rows[0]["attempt"] == 2

# %% [markdown]
# This is the step. It publishes that one event and nothing else, wherever the chain broke: each step finds its result stored and
# publishes the next event.

# %%
from orders.choreography import reconcile

tour.source(reconcile)

# %% [markdown]
# ## Break it: two reconcilers at once
#
# **Predict**: two runs find the same order due. Is it published twice?
#
# <details><summary>Answer</summary>
#
# Once. Each run takes an order by compare-and-set on `dueAt`: the second run finds another time there and leaves it. (And if it
# were published twice, nothing would happen: that was notebook 4.)
#
# </details>

# %%
from concurrent.futures import ThreadPoolExecutor

ids = {"order_id": new_id(), "request_id": "another-that-died", "event_id": new_id()}
twin = Order.place(request, me, at=at, due_at=at, **ids)
store.put(twin)
functions = boto3.client("lambda")
with ThreadPoolExecutor(4) as pool:
    runs = [
        pool.submit(functions.invoke, FunctionName=stack.function("reconciler"))
        for _ in range(4)
    ]
[run.result().get("FunctionError", "no error") for run in runs]

# %%
stored, rows = tour.follow(twin.order_id)
[(row["eventType"], row["attempt"]) for row in rows]

# %%
assert [row["eventType"] for row in rows].count("OrderPlacedEvent") == 1
tour.tree(rows)

# %% [markdown]
# ## And an outbox?
#
# The usual other way is an *outbox*: the order's item is the message, and a DynamoDB stream invokes a function that publishes it.
#
# | | two calls and a reconciler (here) | outbox on a DynamoDB stream |
# |---|---|---|
# | latency of the first event | one PutEvents call | the stream's polling comes on top |
# | a crash between the two | healed a minute later | can't happen |
# | an event lost *later* (an outage, a bug, a purge) | healed by the same mechanism | not healed: the stream tells of each write once, and forgets after 24 hours |
# | moving parts | one scheduled function, one sparse index | a stream, a function, its failure handling; and a reconciler, if you want the rest healed |
#
# An outbox closes one gap perfectly; this system needs the reconciler for all the others anyway, and the reconciler closes that one too.
#
# ## Exercise 9.1
#
# The first pause is 60 seconds, and each further one doubles, up to six hours. Write `pause(attempt)`, in seconds, for an order that
# was reconciled `attempt - 1` times; the first is `pause(1) == 120`, because the first 60 seconds are over then.


# %% tags=["exercise"]
def pause(attempt):
    return 60


tour.check("9.1", pause)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def pause(attempt):
#     return min(60 * 2**attempt, 6 * 60 * 60)
#
#
# tour.check("9.1", pause)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - Two calls can't be one; something must look for what falls between them.
# - The reconciler looks at open orders only, takes each by compare-and-set, and publishes one event.
# - Because every step can be repeated, one rule heals every kind of lost event.
#
# **Next:** [10 · Load, latency, cost](15_load_latency_cost.ipynb)
