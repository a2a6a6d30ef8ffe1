# %% [markdown]
# # 2 · What was deployed
#
# ![How an order travels](../docs/architecture.svg)
#
# Nobody drew the architecture for you to believe. In this notebook you ask AWS (or the embedded AWS, which answers alike) what is there,
# and draw it from the answers: which rule leads which event to whom, what a token says, what is in the table.

# %%
import base64
import json
from pathlib import Path

import boto3
import httpx
import tour

stack = tour.connect()
customer = tour.customer()
events, sns, functions = (boto3.client(name) for name in ("events", "sns", "lambda"))

# %% [markdown]
# ## The topology, from the rules
#
# A rule on the bus has a *pattern* (which events) and *targets* (who gets them). You collect all of them.

# %%
bus = stack.outputs["EventBusName"]
rules = events.list_rules(EventBusName=bus)["Rules"]
patterns = {rule["Name"]: json.loads(rule["EventPattern"]) for rule in rules if "EventPattern" in rule}
targets = {
    name: [target["Arn"] for target in events.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"]]
    for name in patterns
}
{name: pattern.get("detail-type", "every event") for name, pattern in patterns.items()}


# %% [markdown]
# A pattern without `detail-type` takes every event. What a target is called is the last part of its ARN.


# %%
def short(arn):
    """The name that the template gives to a function, topic or queue."""
    return arn.rpartition(":")[2].split("-")[3]


kinds = ["OrderPlacedEvent", "PaymentCompletedEvent", "PaymentFailedEvent", "FulfillmentCompletedEvent"]
edges = [
    (kind, short(arn))
    for name, pattern in patterns.items()
    for kind in pattern.get("detail-type", kinds)
    for arn in targets[name]
]
len(edges)

# %% [markdown]
# One target is no function but a topic. What hangs on it you ask SNS, and what feeds Notification you ask Lambda:

# %%
topic = stack.outputs["OrderNotificationTopicArn"]
[subscription] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
[mapping] = functions.list_event_source_mappings(FunctionName=stack.function("notification"))["EventSourceMappings"]
edges += [
    (short(topic), short(subscription["Endpoint"])),
    (short(mapping["EventSourceArn"]), short(mapping["FunctionArn"])),
]
tour.topology(sorted(edges, key=lambda edge: kinds.index(edge[0]) if edge[0] in kinds else 9))

# %% [markdown]
# This is the choreography, as it is deployed. **Predict**: an order with a declined card comes. Which of these arrows will fire?
#
# <details><summary>Answer</summary>
#
# Those of `OrderPlacedEvent` and `PaymentFailedEvent`, and the way to Notification. Fulfillment is not invoked at all: nobody tells it
# not to ship, it just never hears of a payment.
#
# </details>

# %%
order = customer.post("/orders", {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_declined"})
stored, rows = tour.follow(order["orderId"])
fired = {row["eventType"] for row in rows}
tour.topology(sorted(edges, key=lambda edge: kinds.index(edge[0]) if edge[0] in kinds else 9), fired)

# %%
assert fired == {"OrderPlacedEvent", "PaymentFailedEvent"}

# %% [markdown]
# ## Each resource and its place in the code
#
# CloudFormation lists what it made. Each resource stands in a file: those in `resources/` by name, the rest is made by the Serverless
# Framework from `serverless.yml`.

# %%
pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=bus)
resources = {
    resource["LogicalResourceId"]: resource["ResourceType"]
    for page in pages
    for resource in page["StackResourceSummaries"]
}
files = sorted((tour.CHECKOUT / "resources").glob("*.yml"))


def place(name):
    """Where a resource is declared: file and line."""
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if line == f"  {name}:":
                return f"resources/{file.name}:{number}"
    return "serverless.yml"


found = {name: place(name) for name in resources}
{
    name: found[name]
    for name in (
        "OrdersTable",
        "EventBus",
        "NotificationQueue",
        "PaymentProcessingRole",
        "PaymentProcessingLambdaFunction",
    )
}

# %%
from collections import Counter

Counter(resources.values()).most_common()

# %%
assert {"OrdersTable", "AuditLogTable", "EventBus", "EventArchive", "DeadLetterQueue"} <= set(resources)

# %% [markdown]
# ## A function, beside its entry
#
# `serverless.yml` names the trigger, the role and where an event goes that the function fails on. This is PaymentProcessing's entry …

# %%
text = Path(tour.CHECKOUT, "serverless.yml").read_text()
print(text[text.index("  paymentProcessing:") : text.index("  fulfillment:")])

# %% [markdown]
# … and this is its whole code:

# %%
from handlers import payment_processing

tour.source(payment_processing)

# %% [markdown]
# ## The token
#
# The API takes your word for who you are because Cognito signed it. A token is three parts in Base64: header, claims, signature.


# %%
def part(token, number):
    """Header (0) or claims (1) of a token, without checking it."""
    text = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


claims = part(customer.token, 1)
{name: claims[name] for name in ("token_use", "email", "email_verified")}

# %% [markdown]
# `aud` and `iss` say for whom and by whom it was made; the gateway compares both. `sub` is your customer id.

# %%
assert claims["aud"] == stack.outputs["UserPoolClientId"]
assert claims["iss"].endswith(stack.outputs["UserPoolId"])
part(customer.token, 0)["alg"]

# %% [markdown]
# ## The item
#
# The order in the table has what the API shows, and more: whose it is, where to write, and when the reconciler has to look after it.

# %%
table = boto3.resource("dynamodb").Table(stack.outputs["OrdersTableName"])
item = table.get_item(Key={"orderId": order["orderId"]})["Item"]
sorted(set(item) - set(customer.get(f"/orders/{order['orderId']}")))

# %%
assert item["customerId"] == claims["sub"]
assert "dueAt" not in item, "the order has ended, so nobody needs to look after it"

# %% [markdown]
# ## Break it: change the token
#
# **Predict**: you change one claim of your token, the customer id, and leave the rest. Whose orders do you see?
#
# <details><summary>Answer</summary>
#
# Nobody's: 401. The signature no longer fits the claims. The gateway answers that by itself, no function is invoked.
#
# </details>

# %%
header, _, signature = customer.token.split(".")
forged = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "somebody-else"}).encode()).decode().rstrip("=")
tokens = {"mine": customer.token, "forged": f"{header}.{forged}.{signature}"}
answers = {
    name: httpx.get(f"{stack.api_url}/orders", headers={"Authorization": f"Bearer {token}"}).status_code
    for name, token in tokens.items()
}
answers

# %%
assert answers == {"mine": 200, "forged": 401}

# %% [markdown]
# ## Exercise 2.1
#
# Which functions does a `FulfillmentCompletedEvent` reach *directly*, from the bus? Answer with a set of names, as in the picture.

# %% tags=["exercise"]
reached = set()

tour.check("2.1", reached)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# reached = {target for kind, target in edges if kind == "FulfillmentCompletedEvent"} - {"OrderNotificationTopic"}
# tour.check("2.1", reached)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - The rules on the bus are the choreography; they can be read back, and drawn.
# - Each resource has one place in `resources/` or `serverless.yml`.
# - The gateway checks the token; the function sees only claims that Cognito has signed.
#
# **Next:** [3 · The event bus](03_the_event_bus.ipynb)
