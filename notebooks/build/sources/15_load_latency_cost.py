# %% [markdown]
# # 10 · Load, latency, cost
#
# One order took a fraction of a second. What about two hundred at once? Where does the time go, how often is AWS called for an order,
# and what would a million of them cost? You measure all three.
#
# What you measure here is *this machine* (or your AWS account, with `STAGE=dev`). The shape is the same on both, the numbers are not.

# %%
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import boto3
import httpx
import matplotlib.pyplot as plt
import tour

stack = tour.connect()
customer = tour.customer()
wish = {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"}
tour.sequence(
    *reversed(tour.follow(customer.post("/orders", wish)["orderId"]))
)  # wakes every function

# %% [markdown]
# ## Two hundred at once
#
# Eight threads, two hundred orders. A client that gets no answer, or an error of the server's, asks again with the same
# `Idempotency-Key`: the same key can only ever mean the same order. **Predict**: will any be lost, or ordered twice?
#
# <details><summary>Answer</summary>
#
# None. Whatever takes long waits: events at the bus, e-mails in the queue. A burst makes the system slower, not wrong.
#
# </details>

# %%
run = uuid4()


def place(number):
    """Place one order, asking up to ten times."""
    headers = {
        "Authorization": f"Bearer {customer.token}",
        "Idempotency-Key": f"{run}-{number}",
    }
    for _ in range(10):
        answer = httpx.post(
            f"{stack.api_url}/orders", json=wish, headers=headers, timeout=60
        )
        if answer.status_code < 500:
            return answer.json()
    raise AssertionError(answer.text)


with ThreadPoolExecutor(8) as pool:
    placed = list(pool.map(place, range(200)))
len({order["orderId"] for order in placed})

# %% [markdown]
# You ask for the whole list from time to time, a hundred orders a page. A page that does not come is asked for again with the next look.

# %%
orders = {}


def all_told():
    """Look through the customer's orders, and keep those of this run that have ended."""
    token = None
    while True:
        page = httpx.get(
            f"{stack.api_url}/orders",
            params={"limit": "100", **({"nextToken": token} if token else {})},
            headers={"Authorization": f"Bearer {customer.token}"},
            timeout=60,
        )
        if page.status_code != 200:
            return False
        for order in page.json()["orders"]:
            if order["status"] == "FULFILLED" and "notification" in order:
                orders[order["orderId"]] = order
        token = page.json()["nextToken"]
        if token is None:
            return {order["orderId"] for order in placed} <= set(orders)


tour.wait_until(
    all_told,
    "the end of all two hundred",
    seconds=280,
    last_seen=lambda: f"{len(orders)} have ended",
)
mine = [orders[order["orderId"]] for order in placed]
Counter(order["status"] for order in mine)

# %%
assert Counter(order["status"] for order in mine) == {"FULFILLED": 200}
assert len({order["payment"]["paymentId"] for order in mine}) == 200

# %% [markdown]
# ## Where the time goes
#
# Each order's trail says when it was placed, paid, fulfilled and when the customer was told. AuditLogger is one more reader of the bus
# and may be behind with its writing: wait until it has all six hundred events.


# %%
def all_logged():
    with ThreadPoolExecutor(4) as pool:
        return all(
            pool.map(lambda order: len(tour.rows_of(order["orderId"])) >= 3, mine)
        )


tour.wait_until(all_logged, "three events of each order in AuditLog", seconds=200)

# %% [markdown]
# The differences are the hops.


# %%
def seconds(start, end):
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def hops(order):
    """Seconds from one moment of an order's life to the next."""
    trail = {
        row["eventType"]: row["timestamp"] for row in tour.rows_of(order["orderId"])
    }
    paid, sent = trail["PaymentCompletedEvent"], trail["FulfillmentCompletedEvent"]
    return {
        "placed to paid": seconds(order["placedAt"], paid),
        "paid to fulfilled": seconds(paid, sent),
        "fulfilled to told": seconds(sent, order["notification"]["at"]),
        "all": seconds(order["placedAt"], order["notification"]["at"]),
    }


with ThreadPoolExecutor(4) as pool:
    measured = list(pool.map(hops, mine))
half = sorted(each["all"] for each in measured)[len(measured) // 2]
f"half of the orders took less than {half:.1f} s, all in all"

# %%
# %config InlineBackend.figure_formats = ["svg"]
figure, axes = plt.subplots(figsize=(8, 3), facecolor="white")
names = list(measured[0])
axes.boxplot(
    [[each[name] for each in measured] for name in names],
    orientation="horizontal",
    tick_labels=names,
)
axes.set_xlabel("seconds, 200 orders at once; the box holds the middle half")
figure.tight_layout()

# %%
assert all(each[name] >= 0 for each in measured for name in names[:2]), (
    "an effect is never before its cause"
)

# %% [markdown]
# ## AWS calls per order
#
# To count the calls of the functions, you run them here: the deployed rules sleep, you deliver each event by hand, and count what boto3
# sends. (The rules wake again below, and also if you leave in between.)

# %%
import atexit

events, bus = boto3.client("events"), stack.outputs["EventBusName"]
rules = [
    rule
    for rule in events.list_rules(EventBusName=bus)["Rules"]
    if rule["State"] == "ENABLED" and "ManagedBy" not in rule
]
reads = {
    rule["Name"]: (
        rule["EventPattern"],
        events.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus)["Targets"][0][
            "Arn"
        ],
    )
    for rule in rules
}


def wake():
    for rule in rules:
        events.enable_rule(Name=rule["Name"], EventBusName=bus)


atexit.register(wake)
for rule in rules:
    events.disable_rule(Name=rule["Name"], EventBusName=bus)

# %% [markdown]
# The functions read their settings from the environment, as on Lambda.

# %%
import os

settings = boto3.client("lambda").get_function_configuration(
    FunctionName=stack.function("paymentProcessing")
)["Environment"]["Variables"]
before = dict(os.environ)
os.environ.update(
    {name: value for name, value in settings.items() if not name.startswith("AWS")}
)

from types import SimpleNamespace

from handlers import wiring

counted, published = Counter(), []


def count(params, model, **_):
    """Called by botocore before each call; the payment provider's call to its own ledger is not ours."""
    if model.name == "UpdateItem" and stack.outputs["GatewayLedgerTableName"] in str(
        params["body"]
    ):
        return
    counted[f"{model.service_model.service_name} {model.name}"] += 1
    if model.name == "PutEvents":
        published.extend(json.loads(params["body"])["Entries"])


context = SimpleNamespace(aws_request_id="counted-by-hand")
for client in (
    wiring.client("dynamodb"),
    wiring.client("events"),
    wiring.client("sesv2", attempts=1, read_timeout=wiring.MAIL_SECONDS),
    wiring.client("sns", attempts=1, read_timeout=wiring.MAIL_SECONDS),
):
    client.meta.events.register("before-call", count)

# %% [markdown]
# You place the order through OrderService's own code, and deliver what was published until nothing is left.

# %%
from handlers import order_service

claims = {
    "sub": "counted",
    "email": customer.email,
    "email_verified": "true",
    "token_use": "id",
}
request = {
    "routeKey": "POST /orders",
    "headers": {"content-type": "application/json"},
    "body": json.dumps(wish),
    "requestContext": {
        "requestId": f"counted-{customer.email}",
        "authorizer": {"jwt": {"claims": claims}},
    },
}
answer = order_service.handler(request, context)
answer["statusCode"]

# %%
from importlib import import_module

from operations.envelope import envelope
from tools import topology

handlers = {
    name: import_module(topology.handler(name)).handler
    for name in topology.always_deployed()
}


def deliver(event, target):
    """Invoke a rule's target with an event: a function, or through the topic and the queue Notification."""
    if target == "OrderNotificationTopic":
        target, event = (
            "notification",
            {"Records": [{"messageId": "1", "body": json.dumps(event)}]},
        )
    handlers[target](event, context)


invocations = Counter(orderService=1)
while published:
    entry = published.pop(0)
    detail, number = json.loads(entry["Detail"]), f"counted-{sum(invocations.values())}"
    at = detail["metadata"]["occurredAt"]
    event = envelope(
        entry["DetailType"], entry["Source"], detail, event_id=number, timestamp=at
    )
    for pattern, target in sorted(
        reads.values(), key=lambda read: ":sns:" in read[1]
    ):  # the way by topic and queue is longest
        if events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))[
            "Result"
        ]:
            consumer = target.rpartition(":")[2].split("-")[3]
            if consumer in {
                *handlers,
                "OrderNotificationTopic",
            }:  # OrderFeed comes with the storefront alone
                deliver(event, consumer)
                invocations[consumer] += 1
dict(counted)

# %%
os.environ.clear()
os.environ.update(before)
wake()
sum(counted.values()), sum(invocations.values())

# %% [markdown]
# Fifteen calls, nine invocations, for an order from the click to the e-mail.

# %%
assert sum(counted.values()) == 15, dict(counted)
assert sum(invocations.values()) == 9, dict(invocations)

# %% [markdown]
# Three of the calls are the reason for all of the others' peace: each step's result is stored by one conditional write.

# %%
from orders.aws.store import OrdersTable

tour.source(OrdersTable._update)

# %% [markdown]
# ## What a million of them cost
#
# Calls are not what AWS bills: a write of over 1 KB counts twice, and each index that changes counts as well. `npm run bench` counts the
# units, and [docs/costs.md](../docs/costs.md) explains them; the prices carry their date.

# %%
prices = json.loads(Path("../verification/bench/prices.json").read_text())
counts = json.loads(Path("../verification/bench/results/counts.json").read_text())[
    "values"
]["approved"]
billed = {
    "DynamoDB write units": counts["write units"] + counts["index write units"],
    "DynamoDB read units": counts["read units"],
    "EventBridge events": counted["events PutEvents"],
    "HTTP API requests": 1,
    "Lambda requests": sum(invocations.values()),
    "SNS publications": 1,
    "SQS requests": 2,
}
cost = {name: units * prices["per_million"][name] for name, units in billed.items()}
prices["date"], prices["region"], cost

# %%
f"{sum(cost.values()):.2f} {prices['currency']} per million orders, without logs, duration, archive and e-mail"

# %%
assert billed["EventBridge events"] == 3

# %% [markdown]
# The e-mail alone costs almost five times as much as everything else together. That is where to save, not at the events.
#
# ## Exercise 10.1
#
# SES charges 0.10 USD for a thousand e-mails. What do the e-mails of a million orders cost, in USD?

# %% tags=["exercise"]
emails = None

tour.check("10.1", emails)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# emails = 1 * prices["per_million"]["SES e-mails"]
# tour.check("10.1", emails)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - A burst makes the system slower, not wrong: what takes long waits.
# - An order needs fifteen calls of AWS and nine invocations, and no function waits for another.
# - Writes and e-mails are what costs; events are cheap.
#
# **Next:** [11 · To AWS and back](16_to_aws_and_back.ipynb)
