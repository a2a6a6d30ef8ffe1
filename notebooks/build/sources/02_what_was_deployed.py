# %% [markdown]
# # 2 · What was deployed
#
# ![The system, with the event bus and its rules highlighted](../docs/pictures/02_what_was_deployed.svg)
#
# In this notebook you ask the stack which rule delivers which event to which function, and draw
# the architecture from its responses. Then you find out where in the code each resource is
# declared.

# %%
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The idea
#
# In a choreography, no program knows the whole flow. The flow is in the **rules** on the event
# bus. A rule has a *pattern*, which says which events it matches, and *targets*, which receive
# those events. Rules are data, so you can read the flow back from the bus.
#
# AWS's own page: [Rules in Amazon EventBridge](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rules.html).
#
# ## The rules

# %%
import json

import boto3

events, bus = boto3.client("events"), stack.outputs["EventBusName"]
rules = {
    rule["Name"]: json.loads(rule["EventPattern"])
    for rule in events.list_rules(EventBusName=bus)["Rules"]
    if "ManagedBy" not in rule  # AWS manages one for the archive
}
targets = {
    name: events.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"][0]["Arn"]
    for name in rules
}


def short(arn):
    """The short name of a function, topic or queue, without stack and stage."""
    return arn.rpartition(":")[2].split("-")[3]


tour.table(
    {
        "from": pattern.get("source", "any source"),
        "matches": pattern.get("detail-type", "every event"),
        "delivers to": short(targets[name]),
    }
    for name, pattern in rules.items()
)

# %% [markdown]
# A pattern without a detail type matches every event.
#
# One target is an SNS topic instead of a function, and Notification isn't a target at all. The
# topic has a subscription, which sends its messages to an SQS queue. Lambda polls the queue and
# invokes Notification:

# %%
sns, functions = boto3.client("sns"), boto3.client("lambda")
topic = stack.outputs["OrderNotificationTopicArn"]
[subscription] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
[mapping] = functions.list_event_source_mappings(
    FunctionName=stack.function("notification")
)["EventSourceMappings"]
queue = subscription["Endpoint"]
tour.values(
    topic=short(topic), queue=short(queue), polled_by=short(mapping["FunctionArn"])
)

# %% [markdown]
# ## The picture
#
# These responses are enough to draw the flow. AuditLogger is left out: it consumes every event,
# and half of the arrows would lead to it.

# %%
edges = [
    (kind, short(targets[name]))
    for name, pattern in rules.items()
    for kind in sorted(pattern.get("detail-type", []))
]
edges.append((short(topic), short(queue)))
edges.append((short(queue), short(mapping["FunctionArn"])))
tour.topology(edges)

# %% [markdown]
# **Predict.** A customer orders with a card that will be declined. Which of these arrows will
# be used?
#
# <details><summary>Answer</summary>
#
# Those of `OrderPlacedEvent` and `PaymentFailedEvent`, and those from the topic to
# Notification. Fulfillment isn't invoked at all. No function has to stop it from shipping,
# because no rule delivers `PaymentFailedEvent` to it.
#
# </details>

# %%
wish = {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_declined"}
order = customer.post("/orders", wish)
stored, rows = tour.follow(order["orderId"])
fired = {row["eventType"] for row in rows}
tour.topology(edges, fired)

# %%
tour.expect(
    "only these two events were published",
    fired == {"OrderPlacedEvent", "PaymentFailedEvent"},
)

# %% [markdown]
# ## Where each resource is declared
#
# CloudFormation lists the resources that it created. Those that are declared in `resources/`
# have the same names in that list. The Serverless Framework generates the rest from
# `serverless.yml`: the entry `paymentProcessing` becomes `PaymentProcessingLambdaFunction`,
# among others.

# %%
from collections import Counter

cloudformation = boto3.client("cloudformation")
pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=bus)
resources = [each for page in pages for each in page["StackResourceSummaries"]]
count = Counter(each["ResourceType"] for each in resources)
one_of_each = {each["ResourceType"]: each["LogicalResourceId"] for each in resources}
tour.table(
    {
        "type": kind,
        "count": count[kind],
        "for example": name,
        "declared in": tour.Link(tour.place_of(name)),
    }
    for kind, name in sorted(one_of_each.items())
)

# %%
tour.expect(
    "the table Orders is declared in resources/tables.yml",
    tour.place_of("OrdersTable") == "resources/tables.yml",
)

# %% [markdown]
# ## A function and its entry
#
# A function's entry in `serverless.yml` says what triggers it, which role it has, and where an
# event goes when all attempts have failed:

# %%
tour.excerpt("serverless.yml", "  fulfillment:", "  orderStatusUpdater:")

# %% [markdown]
# And this is the function's whole code:

# %%
from handlers import fulfillment

tour.source(fulfillment)

# %% [markdown]
# ## Break it: a rule is missing
#
# **Predict**: what happens to an order while Fulfillment's rule is disabled?
#
# <details><summary>Answer</summary>
#
# It's paid, and stays `PAID`. Nothing fails: EventBridge delivers the event to the targets of
# enabled rules, and reports no error for the rule that is disabled. Something has to notice
# later; in this system that's the Reconciler (notebook 10).
#
# </details>

# %%
paid = {**wish, "paymentMethod": "tok_visa"}
with tour.rules_off("fulfillment"):
    held_back = customer.post("/orders", paid)["orderId"]
    tour.wait_until(
        lambda: tour.order(held_back)["status"] == "PAID", "the status PAID"
    )
tour.tree(tour.rows_of(held_back), tour.order(held_back))

# %%
tour.expect("nothing was shipped", "fulfillment" not in tour.order(held_back))

# %% [markdown]
# ## Lab 2.1: ask the bus
#
# Write `consumers(event_type)`, which reads the rules from the bus and returns the names of
# those that deliver events of this type. The check deploys a rule of its own, and your function
# must find it.


# %% tags=["exercise"]
def consumers(event_type):
    return []


tour.check("2.1", consumers)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def consumers(event_type):
#     found = []
#     for rule in events.list_rules(EventBusName=bus)["Rules"]:
#         pattern = json.loads(rule["EventPattern"])
#         if event_type in pattern.get("detail-type", [event_type]):
#             found.append(rule["Name"])
#     return found
#
#
# tour.check("2.1", consumers)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - The rules on the bus define the flow; you can read them back and draw them.
# - If a consumer's rule is missing or disabled, the consumer gets no event, and nothing reports
#   an error.
# - Every resource is declared in one place, in `resources/` or in `serverless.yml`.
#
# **Next:** [3 · Tokens and items](03_tokens_and_items.ipynb) looks at how the API knows who you
# are, and at what is stored for an order.
