# %% [markdown]
# # 11 · To AWS and back
#
# All that you saw came from a template and a package that are made for AWS. In this notebook you look at what a deploy would create and
# cost *before* it does, and at how to prove afterwards that nothing is left. Nothing in this notebook talks to AWS.
#
# The authors have not run this on AWS yet: what stands here about AWS is from its documentation, and the template is checked with cfn-lint.

# %%
import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import boto3
import tour

stack = tour.connect()
customer = tour.customer()
tour.sequence(
    *reversed(
        tour.follow(
            customer.post(
                "/orders",
                {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"},
            )["orderId"]
        )
    )
)

# %% [markdown]
# ## What would be created
#
# `npm run package` makes all that a deploy would upload, and uploads nothing. You run it for stage `dev`. It needs the address that the
# mails come from; without it, the Serverless Framework stops with the line to type. (The endpoint of the embedded AWS has to be out of
# the environment: a stage other than `local` must never land on an emulator.)

# %%
clean = {
    name: value for name, value in os.environ.items() if not name.startswith("AWS_")
}
package = ["node_modules/.bin/sls", "package", "--stage", "dev"]
refused = subprocess.run(
    package, cwd=tour.ROOT, env=clean, capture_output=True, text=True
)
refused.stderr.strip()

# %%
assert "--param senderEmail=" in refused.stderr
made = subprocess.run(
    [*package, "--param", "senderEmail=you@example.com"],
    cwd=tour.ROOT,
    env=clean,
    capture_output=True,
    text=True,
)
assert made.returncode == 0, made.stderr

# %%
template = json.loads(
    (tour.ROOT / ".serverless/cloudformation-template-update-stack.json").read_text()
)
kinds = Counter(resource["Type"] for resource in template["Resources"].values())
kinds.most_common()

# %% [markdown]
# **Predict**: what of this costs money while nobody orders?
#
# <details><summary>Answer</summary>
#
# Alarms, the dashboard and the business metrics. Functions, tables, queues, bus and API cost by use; the queue's poller and the
# reconciler are a use of their own, of some cents.
#
# </details>

# %%
month = json.loads(Path("../verification/bench/prices.json").read_text())["per_month"]
idle = {
    "AWS::CloudWatch::Alarm": month["CloudWatch alarm"],
    "AWS::CloudWatch::Dashboard": month["CloudWatch dashboard"],
}
{kind: (kinds[kind], round(kinds[kind] * price, 2)) for kind, price in idle.items()}

# %%
assert kinds["AWS::CloudWatch::Alarm"] == 13

# %% [markdown]
# How the rest adds up, and what a million orders cost, is in [docs/costs.md](../docs/costs.md).
#
# ## Who may do what there
#
# Seven functions, seven roles. You count what each may do, from the template:

# %%
roles = {
    name: resource["Properties"]
    for name, resource in template["Resources"].items()
    if name.endswith("Role") and resource["Type"] == "AWS::IAM::Role"
}


def actions(role):
    """All actions that a role allows."""
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    wanted = [statement["Action"] for statement in statements]
    return sorted(
        action
        for each in wanted
        for action in ([each] if isinstance(each, str) else each)
        if not action.startswith("logs:")
    )


{name: actions(role) for name, role in roles.items()}

# %%
assert not any("*" in action for role in roles.values() for action in actions(role))

# %% [markdown]
# What *you* need to deploy all this is in [docs/deploy-policy.json](../docs/deploy-policy.json).
#
# ## Deploy, and the two things that are different for real
#
# ```bash
# npm run deploy -- --stage dev --param senderEmail=you@example.com
# npm run info   -- --stage dev
# ```
#
# - **SES** starts in its sandbox: it sends to verified addresses only. AWS mails you a link for `senderEmail`; verify your own address
#   as a customer too: `aws sesv2 create-email-identity --email-identity …`. An e-mail that SES refuses is recorded on the order.
# - **Cognito** mails the code for a new account itself, fifty a day without SES behind it.
#
# ## The same notebooks, on AWS
#
# One switch in the environment, and notebooks 1 to 7 talk to your stack instead, with your AWS credentials:
#
# ```bash
# STAGE=dev npm run notebooks
# ```
#
# If you deployed with `--region`, name it: `STAGE=dev REGION=eu-west-1 npm run notebooks`. `AWS_PROFILE` says whose credentials to take.
# The switch is read in one place:

# %%
from operations.stack import from_environment

tour.source(from_environment)

# %% [markdown]
# ## Break it: the wrong target
#
# **Predict**: the endpoint of the embedded AWS is still in your environment, and you deploy stage `dev`. Where does it go?
#
# <details><summary>Answer</summary>
#
# Nowhere. The plugin stops before anything is done, with one line.
#
# </details>

# %%
lost = {**clean, "AWS_ENDPOINT_URL": "somewhere"}
deploy = [
    "node_modules/.bin/sls",
    "deploy",
    "--stage",
    "dev",
    "--param",
    "senderEmail=you@example.com",
]
stopped = subprocess.run(
    deploy, cwd=tour.ROOT, env=lost, capture_output=True, text=True
)
stopped.returncode, stopped.stderr.strip()

# %%
assert stopped.returncode != 0
assert "AWS_ENDPOINT_URL" in stopped.stderr

# %% [markdown]
# ## And back
#
# ```bash
# npm run remove -- --stage dev
# ```
#
# removes the stack and what is in it. The sender's identity stays, for other stages may send from it. Where `retainData` is true, tables
# and user pool stay as well, and the stack goes only when its protection is off. You need not believe it. What a stack made
# carries its name or its tag, and can be looked for. You try the search on the running stack, where it must find something:


# %%
def left_of(stack_name):
    """What can be found of a stack, by kind."""
    events, logs, sqs, sns = (
        boto3.client(name) for name in ("events", "logs", "sqs", "sns")
    )
    dynamodb, functions, iam = (
        boto3.client(name) for name in ("dynamodb", "lambda", "iam")
    )
    found = {
        "tables": dynamodb.list_tables()["TableNames"],
        "functions": [
            each["FunctionName"] for each in functions.list_functions()["Functions"]
        ],
        "roles": [each["RoleName"] for each in iam.list_roles()["Roles"]],
        "buses": [each["Name"] for each in events.list_event_buses()["EventBuses"]],
        "archives": [
            each["ArchiveName"] for each in events.list_archives()["Archives"]
        ],
        "queues": [
            url.rpartition("/")[2] for url in sqs.list_queues().get("QueueUrls", [])
        ],
        "topics": [
            each["TopicArn"].rpartition(":")[2] for each in sns.list_topics()["Topics"]
        ],
        "log groups": [
            each["logGroupName"].rpartition("/")[2]
            for each in logs.describe_log_groups()["logGroups"]
        ],
    }
    mine = {
        kind: [name for name in names if name.startswith(stack_name)]
        for kind, names in found.items()
    }
    return {kind: len(names) for kind, names in mine.items() if names}


here = left_of(stack.outputs["EventBusName"])
here

# %%
assert here["functions"] == 8  # OrderFeed is here too
assert left_of("a-stack-that-is-gone") == {}

# %% [markdown]
# After `npm run remove` the same search for your stage has to find nothing. (On the embedded AWS a test does exactly that.)
#
# ## Lab 16.1
#
# Which parameter keeps the tables when the stack is removed, and in which stage is it on by default? Answer with a pair.

# %% tags=["exercise"]
answer = (None, None)

tour.check("16.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = ("retainData", "prod")
# tour.check("16.1", answer)
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - A template can be read before it is deployed: what it creates, who may do what, what it costs.
# - The same package, template and notebooks work on both; a guard keeps them from the wrong place.
# - Clean-up is done when a search finds nothing, not when a command says so.
#
# **Back to the start:** [1 · Your first order](01_your_first_order.ipynb), and the code: [orders/choreography.py](../orders/choreography.py)
