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
import re
import secrets
from collections import Counter

import boto3
import httpx
import tour

stack = tour.connect()
customer = tour.customer()
events, sns, functions = (boto3.client(name) for name in ("events", "sns", "lambda"))

# %% [markdown]
# ## The topology, from the rules
#
# A rule on the bus has a *pattern* (which events) and *targets* (who gets them). You collect all that the template made; AWS keeps one
# more for the archive, which is *managed*.

# %%
bus = stack.outputs["EventBusName"]
rules = [
    rule
    for rule in events.list_rules(EventBusName=bus)["Rules"]
    if "ManagedBy" not in rule
]
patterns = {rule["Name"]: json.loads(rule["EventPattern"]) for rule in rules}
targets = {
    name: [
        target["Arn"]
        for target in events.list_targets_by_rule(Rule=name, EventBusName=bus)[
            "Targets"
        ]
    ]
    for name in patterns
}
{name: pattern.get("detail-type", "every event") for name, pattern in patterns.items()}


# %% [markdown]
# A pattern without `detail-type` takes every event. What a target is called is the last part of its ARN.


# %%
def short(arn):
    """The name that the template gives to a function, topic or queue."""
    return arn.rpartition(":")[2].split("-")[3]


kinds = [
    "OrderPlacedEvent",
    "PaymentCompletedEvent",
    "PaymentFailedEvent",
    "FulfillmentCompletedEvent",
]
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
[mapping] = functions.list_event_source_mappings(
    FunctionName=stack.function("notification")
)["EventSourceMappings"]
edges += [
    (short(topic), short(subscription["Endpoint"])),
    (short(mapping["EventSourceArn"]), short(mapping["FunctionArn"])),
]
tour.topology(
    sorted(edges, key=lambda edge: kinds.index(edge[0]) if edge[0] in kinds else 9)
)

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
order = customer.post(
    "/orders",
    {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_declined"},
)
stored, rows = tour.follow(order["orderId"])
fired = {row["eventType"] for row in rows}
tour.topology(
    sorted(edges, key=lambda edge: kinds.index(edge[0]) if edge[0] in kinds else 9),
    fired,
)

# %%
assert fired == {"OrderPlacedEvent", "PaymentFailedEvent"}

# %% [markdown]
# ## Each resource and its place in the code
#
# CloudFormation lists what it made. What stands in `resources/` has there the same name. The rest is made by the Serverless Framework, and
# its name contains a key of `serverless.yml`: `PaymentProcessingLambdaFunction` comes from the entry `paymentProcessing`.

# %%
pages = (
    boto3.client("cloudformation")
    .get_paginator("list_stack_resources")
    .paginate(StackName=bus)
)
resources = {
    resource["LogicalResourceId"]: resource["ResourceType"]
    for page in pages
    for resource in page["StackResourceSummaries"]
}


def keys(pattern):
    """The keys of the second level, and where they stand: file and line."""
    return {
        key[1]: f"{file.relative_to(tour.ROOT)}:{number}"
        for file in tour.ROOT.glob(pattern)
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if (key := re.match(r"  (\w+):", line))
    }


ours, framework = keys("resources/*.yml"), keys("serverless.yml")


def place(name):
    """Where a resource comes from: its own name, or the longest key in its name; a WebSocket API is orderFeed's."""
    keys_in_name = [key for key in framework if key.lower() in name.lower()] or [
        "orderFeed"
    ]
    return ours.get(name) or framework[max(keys_in_name, key=len)]


count = Counter(resources.values())
{kind: (count[kind], name, place(name)) for name, kind in resources.items()}

# %% [markdown]
# That was one resource of each type: how many there are of the type, the name of one, and its place. Open some of the places.

# %%
assert all(place(name) for name in resources)
assert place("OrdersTable").startswith("resources/tables.yml:")
assert place("PaymentProcessingLambdaFunction") == framework["paymentProcessing"]

# %% [markdown]
# ## A function, beside its entry
#
# `serverless.yml` names the trigger, the role and where an event goes that the function fails on. This is PaymentProcessing's entry …

# %%
text = (tour.ROOT / "serverless.yml").read_text()
print(text[text.index("  paymentProcessing:") : text.index("  fulfillment:")].rstrip())

# %% [markdown]
# … and this is its whole code:

# %%
from handlers import payment_processing

tour.source(payment_processing)

# %% [markdown]
# ## The token
#
# The API takes your word for who you are because Cognito signed it. Signing in gives you an **ID token** and an **access token**. (You
# give yourself a password first; `tour.customer()` kept its own.)

# %%
cognito, password = boto3.client("cognito-idp"), f"{secrets.token_urlsafe(12)}-Aa1"
account = {"UserPoolId": stack.outputs["UserPoolId"], "Username": customer.email}
cognito.admin_set_user_password(**account, Password=password, Permanent=True)
signed_in = cognito.initiate_auth(
    ClientId=stack.outputs["UserPoolClientId"],
    AuthFlow="USER_PASSWORD_AUTH",
    AuthParameters={"USERNAME": customer.email, "PASSWORD": password},
)["AuthenticationResult"]
id_token, access_token = signed_in["IdToken"], signed_in["AccessToken"]

# %% [markdown]
# A token is three parts in Base64, with dots between: header, claims, signature. Anybody can read it; no library is needed.


# %%
def part(token, number):
    """Header (0) or claims (1) of a token, without checking it."""
    text = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


part(id_token, 0)

# %% [markdown]
# The header says how it was signed (`alg`) and with which key (`kid`). The claims say who you are. Both tokens side by side:

# %%
claims, access = part(id_token, 1), part(access_token, 1)
{
    name: (claims.get(name), access.get(name))
    for name in ("token_use", "aud", "client_id", "email", "email_verified")
}

# %% [markdown]
# `iss` and `aud` say by whom and for whom the token was made; the gateway compares both. `sub` is your customer id. The access token has no
# `email`: it says what its bearer may do at Cognito, not who you are.

# %%
assert claims["aud"] == access["client_id"] == stack.outputs["UserPoolClientId"]
assert claims["iss"].endswith(stack.outputs["UserPoolId"])
assert "email" not in access

# %% [markdown]
# ## The item
#
# The order in the table has what the API shows, and more: whose it is, where to write, how often it was tried. This is the difference:

# %%
table = boto3.resource("dynamodb").Table(stack.outputs["OrdersTableName"])
item = table.get_item(Key={"orderId": order["orderId"]}, ConsistentRead=True)["Item"]
shown = customer.get(f"/orders/{order['orderId']}")
{name: item[name] for name in sorted(set(item) - set(shown))}

# %% [markdown]
# While an order is open, there are two more: `openShard` and `dueAt` say when the reconciler has to look after it. This one has ended.

# %%
assert item["customerId"] == claims["sub"]
assert item["email"] == customer.email
assert not {"openShard", "dueAt"} & set(item)

# %% [markdown]
# ## Break it: the wrong token
#
# **Predict**: you send three tokens. The ID token; the ID token with another customer's id in `sub`, all else as it was; the access token,
# which is as genuine as the first. What does the API answer to each?
#
# <details><summary>Answer</summary>
#
# - The ID token: 200.
# - The changed one: 401. The signature no longer fits the claims. The gateway answers that by itself, no function is invoked.
# - The access token: 403. The gateway lets it pass, since it takes `client_id` for `aud`. The function looks at `token_use`.
#
# </details>

# %%
header, _, signature = id_token.split(".")
forged = (
    base64.urlsafe_b64encode(json.dumps({**claims, "sub": "somebody-else"}).encode())
    .decode()
    .rstrip("=")
)
tokens = {
    "ID": id_token,
    "changed": f"{header}.{forged}.{signature}",
    "access": access_token,
}
answers = {
    name: httpx.get(
        f"{stack.api_url}/orders",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    for name, token in tokens.items()
}
{name: answer.status_code for name, answer in answers.items()}

# %%
assert [answer.status_code for answer in answers.values()] == [200, 401, 403]
answers["access"].json()["detail"]

# %% [markdown]
# The 403 comes from here:

# %%
from handlers import identity

tour.source(identity)

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
# - The gateway checks that a token is genuine; the function, that it is the ID token.
#
# **Next:** [3 · The event bus](04_the_event_bus.ipynb) lets you listen in, and publish.
