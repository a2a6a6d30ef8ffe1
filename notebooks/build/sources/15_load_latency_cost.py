# %% [markdown]
# # 15 · Load, latency, cost
#
# ![The system, with every function highlighted](../docs/pictures/15_load_latency_cost.svg)
#
# In this notebook you place two hundred orders, see where their time goes, and work out what a
# million of them would cost.
#
# You measure *this machine*, or your AWS account with `STAGE=dev`. The shape of the results is
# the same on both, but the numbers aren't.

# %%
import tour

stack = tour.connect()
customer = tour.customer()
wish = {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"}

# %% [markdown]
# ## The idea
#
# No function waits for another one. So a burst of orders doesn't make the system fail; it makes
# it slower. Work that can't be done at once waits: events in the queue that Lambda keeps for
# each function, and messages in the SQS queue.
#
# The first invocation of a function is slow for another reason: Lambda has to start the
# function. This is a **cold start**. ([Lambda's execution
# environments](https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html))
#
# ## Cold and warm
#
# **Predict**: on a new stack, how many times as long as the fifth order does the first one
# take?
#
# <details><summary>Answer</summary>
#
# On your machine it's often ten times as long, because the functions start for the first time,
# one after the other. If the stack has processed orders before, the functions are warm already
# and the first order is as fast as the others.
#
# </details>

# %%
from datetime import datetime


def milliseconds(start, end):
    passed = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return round(passed.total_seconds() * 1000)


def duration(order):
    """From the request to the e-mail."""
    return milliseconds(order["placedAt"], order["notification"]["at"])


orders = [tour.follow(customer.post("/orders", wish)["orderId"]) for _ in range(5)]
tour.table(
    {"order": number, "ms from request to e-mail": duration(stored)}
    for number, (stored, _) in enumerate(orders, 1)
)

# %%
stored, rows = orders[-1]
tour.sequence(rows, stored)

# %% [markdown]
# ## Two hundred orders
#
# Eight clients place two hundred orders between them. A client that gets no response, or a server
# error, repeats the request with the same `Idempotency-Key`: the same key always means the same
# order.
# **Predict**: will any order be lost, or placed twice?
#
# <details><summary>Answer</summary>
#
# No order is lost, and none is placed twice: a repeated request finds the order that its first
# attempt stored.
#
# </details>

# %%
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import uuid4

import httpx

run, url = uuid4(), f"{stack.api_url}/orders"


def place(number):
    """Place one order; without a response repeat the request, with the same key."""
    headers = {
        "Authorization": f"Bearer {customer.token}",
        "Idempotency-Key": f"{run}-{number}",
    }
    for _ in range(10):
        with suppress(httpx.TransportError):
            response = httpx.post(url, json=wish, headers=headers, timeout=60)
            if response.status_code < 500:
                return response.json()["orderId"]
    raise RuntimeError(f"order {number}: ten attempts without a result")


with ThreadPoolExecutor(8) as clients:
    placed = list(clients.map(place, range(200)))
tour.expect("two hundred different orders", len(set(placed)) == 200)

# %% [markdown]
# Now wait until all of them have ended. The API lists your orders, a hundred on a page:

# %%
ended = {}


def all_ended():
    """Read all pages, and keep the orders that have ended."""
    token = ""
    while token is not None:
        page = customer.get(f"/orders?limit=100{token and f'&nextToken={token}'}")
        for order in page["orders"]:
            if order["status"] == "FULFILLED" and "notification" in order:
                ended[order["orderId"]] = order
        token = page["nextToken"]
    return set(placed) <= set(ended)


tour.wait_until(
    all_ended, "the end of all orders", seconds=280, last_seen=lambda: f"{len(ended)}"
)
payments = {ended[order_id]["payment"]["paymentId"] for order_id in placed}
tour.expect("each order has a payment of its own", len(payments) == 200)

# %% [markdown]
# ## Where the time goes
#
# The rows of the audit log say when each order was paid and shipped. The order itself says when
# its customer was notified.


# %%
def all_logged():
    with ThreadPoolExecutor(4) as pool:
        return all(pool.map(lambda each: len(tour.rows_of(each)) >= 3, placed))


tour.wait_until(all_logged, "the events of all orders in the audit log", seconds=200)


def hops(order_id):
    """Milliseconds from one step of an order to the next."""
    at = {row["eventType"]: row["timestamp"] for row in tour.rows_of(order_id)}
    paid, shipped = at["PaymentCompletedEvent"], at["FulfillmentCompletedEvent"]
    order = ended[order_id]
    return {
        "placed → paid": milliseconds(order["placedAt"], paid),
        "paid → shipped": milliseconds(paid, shipped),
        "shipped → notified": milliseconds(shipped, order["notification"]["at"]),
        "all": duration(order),
    }


with ThreadPoolExecutor(4) as pool:
    measured = list(pool.map(hops, placed))

# %%
import matplotlib.pyplot as plt

names = list(measured[0])
figure, axes = plt.subplots(figsize=(8, 2.6))
axes.boxplot(
    [[each[name] for each in measured] for name in names],
    orientation="horizontal",
    tick_labels=names,
)
axes.set_xlabel("milliseconds, 200 orders; half of them are inside the box")
figure.tight_layout()

# %%
tour.expect(
    "no effect comes before its cause",
    all(each[name] >= 0 for each in measured for name in names[:2]),
)

# %% [markdown]
# ## What an order costs
#
# AWS bills for everything that an order uses: writes, events, requests, milliseconds.
# `npm run bench` counts them and multiplies them by AWS's list prices.
#
# **Predict**: you want to halve the bill. Where do you begin?
#
# <details><summary>Answer</summary>
#
# With the e-mail. It costs several times as much as everything else together. After that come
# DynamoDB's writes. Events cost little.
#
# </details>
#
# This is the same table as in [docs/costs.md](../docs/costs.md), which explains each line:

# %%
from notebooks.showing import say
from verification.bench import figures

say(figures.a_million())

# %%
from verification.bench.price import PRICES

tour.values(
    prices_of=PRICES["date"], region=PRICES["region"], currency=PRICES["currency"]
)

# %% [markdown]
# ## Break it: where is the limit?
#
# You can't find AWS's limits on this machine. [docs/scale.md](../docs/scale.md) works out from
# AWS's quotas what breaks first as the load grows, and at which rate. And `npm run simulate`
# runs thousands of schedules with injected faults, in virtual time;
# [docs/reliability.md](../docs/reliability.md) describes it.
#
# ## Lab 15.1: a client that may repeat a request
#
# The check gives you a bad connection: `send(headers)` places an order, but every second
# response is lost, *after* the stack has stored the order. In that case `send` raises an
# exception. Write `place_one(send, number)`, which places order `number` and returns it. The
# check calls it for twelve orders, and there must be twelve in the end, not twenty-four.


# %% tags=["exercise"]
def place_one(send, number):
    return send({})


tour.check("15.1", place_one)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def place_one(send, number):
#     for _ in range(10):
#         try:
#             return send({"Idempotency-Key": f"{run}-lab-{number}"})
#         except Exception as error:
#             print(f"order {number}: {error}; once more, with the same key")
#
#
# tour.check("15.1", place_one)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - A burst makes the system slower, but nothing is lost: events and messages wait in queues.
# - Cold starts explain the slow first order.
# - An idempotency key makes a request safe to repeat.
# - E-mails and writes cost the most; events are cheap.
#
# **Next:** [16 · To AWS and back](16_to_aws_and_back.ipynb)
