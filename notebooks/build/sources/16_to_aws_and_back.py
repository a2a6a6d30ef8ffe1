# %% [markdown]
# # 16 · To AWS and back
#
# ![The whole system, from the customer's request to the e-mail](../docs/pictures/16_to_aws_and_back.svg)
#
# In this notebook you look at what a deploy would create, what each function may do, and what
# the system costs when nobody orders. You also learn how to prove, after you have removed it,
# that nothing is left.
#
# On your machine nothing in this notebook calls AWS. The authors haven't run the system on AWS
# yet: the statements about AWS come from its documentation, and cfn-lint checks the template.

# %%
import tour

stack = tour.connect()
customer = tour.customer()

# %% [markdown]
# ## The idea
#
# Everything that you saw in these notebooks came from a template and a package that are made for
# AWS. A template is data, and you can read it before you deploy it.
#
# ## What a deploy would create
#
# `npm run package` makes everything that a deploy would upload, and uploads nothing. It needs
# the address that the e-mails come from. Without it, the command fails and says what is
# missing:

# %%
import os
import subprocess


def sls(*arguments, **environment):
    """Run the Serverless Framework, without the embedded AWS's address and keys."""
    clean = {name: text for name, text in os.environ.items() if name[:4] != "AWS_"}
    return subprocess.run(
        ["node_modules/.bin/sls", *arguments, "--stage", "dev"],
        cwd=tour.ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
    )


sender = ("--param", "senderEmail=you@example.com")
refused = sls("package")
print(refused.stderr.strip())

# %%
tour.expect("it names what is missing", "senderEmail" in refused.stderr)
packaged = sls("package", *sender)
tour.expect("with a sender it makes the package", packaged.returncode == 0)

# %%
import json
from collections import Counter

file = tour.ROOT / ".serverless/cloudformation-template-update-stack.json"
resources = json.loads(file.read_text())["Resources"]
kinds = Counter(resource["Type"] for resource in resources.values())
tour.table({"type": kind, "count": count} for kind, count in kinds.most_common(12))

# %% [markdown]
# **Predict**: which of these cost money while nobody orders?
#
# <details><summary>Answer</summary>
#
# The alarms and the dashboard. (So do the business metrics, which the functions create when
# they run.) Functions, tables, queues, bus and API are billed by use. Lambda polls the queue
# all the time, and the Reconciler runs every minute, but both cost only a few cents.
#
# </details>
#
# This is the bill for a month without orders, from [docs/costs.md](../docs/costs.md):

# %%
from notebooks.showing import say
from verification.bench import figures

say(figures.a_month_without_orders())

# %% [markdown]
# ## Who may do what
#
# Each function has a role of its own, with **least privilege**: the rights that it needs, and
# no more. ([IAM best
# practices](https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege))


# %%
def actions(role):
    """The actions that a role allows, apart from writing logs."""
    [policy] = role["Properties"]["Policies"]
    listed = [each["Action"] for each in policy["PolicyDocument"]["Statement"]]
    flat = [
        name for each in listed for name in ([each] if isinstance(each, str) else each)
    ]
    return sorted({name for name in flat if not name.startswith("logs:")})


roles = {
    name: actions(resource)
    for name, resource in resources.items()
    if resource["Type"] == "AWS::IAM::Role" and "Policies" in resource["Properties"]
}
tour.table({"role": name, "may": allowed} for name, allowed in roles.items())

# %%
tour.expect(
    "no role's actions have a wildcard",
    not any("*" in action for allowed in roles.values() for action in allowed),
)

# %% [markdown]
# What *you* need in order to deploy is in
# [docs/deploy-policy.json](../docs/deploy-policy.json).
#
# ## Deploy
#
# ```bash
# npm run preflight -- --stage dev --param senderEmail=you@example.com
# npm run deploy    -- --stage dev --param senderEmail=you@example.com
# npm run smoke     -- --stage dev
# ```
#
# `preflight` says what would go wrong, and how to fix it. Two things are different on AWS:
#
# - **SES** starts in its sandbox: it sends to verified addresses only, and to its mailbox
#   simulator, which these notebooks use. An e-mail that SES refuses is recorded on the order.
# - **Cognito** itself e-mails the confirmation code of a new account, at most fifty a day.
#
# Then the same notebooks can use your stage, if you start them like this. [The tutorial's first
# page](README.md) says which of them run there:
#
# ```bash
# STAGE=dev READER_EMAIL=you@example.com npm run notebooks
# ```
#
# The environment is read in one place:

# %%
from operations.stack import from_environment

tour.source(from_environment)

# %% [markdown]
# ## Break it: the wrong target
#
# Suppose that the address of the embedded AWS is still in your environment, and you deploy
# stage `dev`. **Predict** where the deploy goes.
#
# <details><summary>Answer</summary>
#
# Nowhere. This project's plugin for the framework stops the command before anything is created.
#
# </details>

# %%
stopped = sls("deploy", *sender, AWS_ENDPOINT_URL="an-emulator")
print(stopped.stderr.strip())

# %%
tour.expect("it stopped", stopped.returncode != 0)
tour.expect("it names the variable", "AWS_ENDPOINT_URL" in stopped.stderr)

# %% [markdown]
# ## And back
#
# `npm run remove -- --stage dev` removes the stack and its data. How do you know that nothing
# is left? You search. CloudFormation tags the resources that it creates with the stack's name,
# and one API lists tagged resources of many services. You try the search on the running stack,
# where it must find something:

# %%
import boto3


def tagged(stack_name):
    """The ARNs of all resources with the stack's tag."""
    pages = (
        boto3.client("resourcegroupstaggingapi")
        .get_paginator("get_resources")
        .paginate(
            TagFilters=[
                {"Key": "aws:cloudformation:stack-name", "Values": [stack_name]}
            ]
        )
    )
    return [
        each["ResourceARN"] for page in pages for each in page["ResourceTagMappingList"]
    ]


found = tagged(stack.name)
services = Counter(arn.split(":")[2] for arn in found)
tour.table({"service": name, "tagged": count} for name, count in services.items())

# %% [markdown]
# Some kinds of resources can't be tagged, or aren't listed by that API. Their names contain the
# stack's name, so you search by name as well:

# %%
KINDS = (
    ("events", "list_event_buses", "EventBuses", "Name"),
    ("events", "list_rules", "Rules", "Name"),
    ("events", "list_archives", "Archives", "ArchiveName"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("dynamodb", "list_tables", "TableNames", None),
    ("sqs", "list_queues", "QueueUrls", None),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("cognito-idp", "list_user_pools", "UserPools", "Name"),
    ("apigatewayv2", "get_apis", "Items", "Name"),
    ("cloudformation", "describe_stacks", "Stacks", "StackName"),
)


def named(stack_name):
    """Kind of resource → the names that contain the stack's name."""
    found = {}
    for service, operation, listed, key in KINDS:
        client = boto3.client(service)
        options = {"MaxResults": 60} if operation == "list_user_pools" else {}
        call = getattr(client, operation)
        paged = client.can_paginate(operation)
        pages = (
            client.get_paginator(operation).paginate(**options)
            if paged
            else [call(**options)]
        )
        items = [each for page in pages for each in page.get(listed, [])]
        names = [item[key] if key else item for item in items]
        found[listed] = [name for name in names if stack_name in name]
    return {kind: names for kind, names in found.items() if names}


here = named(stack.name)
tour.table({"kind": kind, "found": len(names)} for kind, names in here.items())

# %%
gone = "a-stack-that-was-removed"
tour.expect("the search finds this stack", tagged(stack.name) and here)
tour.expect("and nothing of a removed one", not tagged(gone) and not named(gone))

# %% [markdown]
# On the embedded AWS, a test removes a stack and makes this search. On AWS, each table leaves a
# free backup for 35 days, and the sender's e-mail identity stays, because another stage may use
# it. The [README](../README.md) lists everything that stays.
#
# ## Lab 16.1: prove it
#
# Write `left(name)`, which returns all resources with `name` in their names, as a dictionary
# from kind to names. The dictionary is empty when nothing is left. The check creates a queue
# and a table with a new name, calls your function, removes both, and calls it again.


# %% tags=["exercise"]
def left(name):
    return {}


tour.check("16.1", left)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def left(name):
#     return named(name)
#
#
# tour.check("16.1", left)
# ```
#
# </details>

# %% [markdown]
# Finally, place one more order on the running stack:

# %%
wish = {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"}
stored, rows = tour.follow(customer.post("/orders", wish)["orderId"])
tour.sequence(rows, stored)

# %% [markdown]
# ## Recap
#
# - You can read a template before you deploy it: what it creates, what each role may do, and
#   what it costs.
# - The same package, template and notebooks work on both; a guard keeps them from the wrong
#   target.
# - A clean-up is done when a search finds nothing.
#
# **Next:** [17 · Find the bug](17_find_the_bug.ipynb)
