"""What notebook 13 uses but doesn't teach: a package for a function of your own, the clean-up, a changed template."""

import io
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from html import unescape
from typing import Any
from unittest.mock import patch
from urllib.request import urlopen

from IPython.display import display

from operations.stack import Stack
from tools import topology
from tools.checkout import ROOT

_Remover = tuple[list[str], Callable[[str], object]]
"""The names of one kind that are there, and how one of them is deleted."""


def package(stack: Stack, code: str) -> bytes:
    """The package of the stack's functions, with `loyalty.py` added: a function finds boto3 and the events in it.

    AWS's Python has boto3 by itself; on the embedded AWS a function finds its package and the standard library only.
    """
    function = stack.client("lambda").get_function(FunctionName=stack.function("fulfillment"))
    with urlopen(function["Code"]["Location"]) as response:
        archive = io.BytesIO(response.read())
    entry = zipfile.ZipInfo("loyalty.py")
    entry.external_attr = 0o644 << 16  # Lambda's user reads it
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr(entry, code)
    return archive.getvalue()


def remove(stack: Stack, prefix: str) -> list[str]:
    """Delete everything whose name begins with the prefix; what was deleted, as `kind name`. May be called again."""
    clients = {name: stack.client(name) for name in ("events", "lambda", "logs", "dynamodb", "iam", "sqs", "sns")}
    removers: dict[str, _Remover] = {
        "rule": _rules(clients["events"], stack.outputs["EventBusName"], prefix),
        "function": _functions(clients["lambda"], prefix),
        "log group": _log_groups(clients["logs"], prefix),
        "table": _tables(clients["dynamodb"], prefix),
        "role": _roles(clients["iam"], prefix),
        "alarm": _alarms(stack.client("cloudwatch"), prefix),
        "topic": _topics(clients["sns"], prefix),
        "queue": _queues(clients["sqs"], prefix),
    }
    removed = []
    for kind, (names, delete) in removers.items():
        for name in names:
            delete(name)
            removed.append(f"{kind} {name.rpartition('/')[2].rpartition(':')[2]}")
    return removed


def _rules(events: Any, bus: str, prefix: str) -> _Remover:
    def delete(rule: str) -> None:
        targets = events.list_targets_by_rule(Rule=rule, EventBusName=bus)["Targets"]
        if targets:
            events.remove_targets(Rule=rule, EventBusName=bus, Ids=[target["Id"] for target in targets])
        events.delete_rule(Name=rule, EventBusName=bus)

    rules = events.list_rules(EventBusName=bus, NamePrefix=prefix)["Rules"]
    return [rule["Name"] for rule in rules], delete


def _functions(functions: Any, prefix: str) -> _Remover:
    names = _named(functions, "list_functions", "Functions", "FunctionName", prefix)
    return names, lambda name: functions.delete_function(FunctionName=name)


def _log_groups(logs: Any, prefix: str) -> _Remover:
    names = _named(logs, "describe_log_groups", "logGroups", "logGroupName", f"/aws/lambda/{prefix}")
    return names, lambda name: logs.delete_log_group(logGroupName=name)


def _tables(dynamodb: Any, prefix: str) -> _Remover:
    pages = dynamodb.get_paginator("list_tables").paginate()
    names = [name for page in pages for name in page["TableNames"] if name.startswith(prefix)]
    return names, lambda name: dynamodb.delete_table(TableName=name)


def _roles(iam: Any, prefix: str) -> _Remover:
    def delete(role: str) -> None:
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            iam.delete_role_policy(RoleName=role, PolicyName=policy)
        iam.delete_role(RoleName=role)

    return _named(iam, "list_roles", "Roles", "RoleName", prefix), delete


def _alarms(cloudwatch: Any, prefix: str) -> _Remover:
    names = _named(cloudwatch, "describe_alarms", "MetricAlarms", "AlarmName", prefix)
    return names, lambda name: cloudwatch.delete_alarms(AlarmNames=[name])


def _topics(sns: Any, prefix: str) -> _Remover:
    pages = sns.get_paginator("list_topics").paginate()
    arns = [topic["TopicArn"] for page in pages for topic in page["Topics"]]
    mine = [arn for arn in arns if arn.rpartition(":")[2].startswith(prefix)]
    return mine, lambda arn: sns.delete_topic(TopicArn=arn)


def _queues(sqs: Any, prefix: str) -> _Remover:
    def delete(url: str) -> None:
        with suppress(sqs.exceptions.QueueDoesNotExist):  # AWS lists a deleted queue for a minute
            sqs.delete_queue(QueueUrl=url)

    return sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", []), delete


def _named(client: Any, operation: str, listed: str, name: str, prefix: str) -> list[str]:
    """The names that begin with the prefix, of all pages."""
    pages = client.get_paginator(operation).paginate()
    return [each[name] for page in pages for each in page[listed] if each[name].startswith(prefix)]


@contextmanager
def product_with(function: str, role: str) -> Iterator[None]:
    """Let the generators see one more function in serverless.yml and one more role in roles.yml; no file changes."""
    before, end, after = (ROOT / "serverless.yml").read_text().partition("\npackage:\n")
    roles = (ROOT / "resources" / "roles.yml").read_text() + role
    service = topology.parsed(f"{before}\n{function}{end}{after}")
    resources = {**topology.resources(), **topology.parsed(roles)["Resources"]}
    try:
        with (
            patch.object(topology, "service", lambda: service),
            patch.object(topology, "resources", lambda: resources),
        ):
            topology.rules.cache_clear()
            yield
    finally:
        topology.rules.cache_clear()


def show(svg: str) -> None:
    """Show a picture of the documents as an image, with its description as alternative text."""
    text = svg.partition('<desc id="desc">')[2].partition("</desc>")[0]
    data = b64encode(svg.encode()).decode()
    image = f'<img src="data:image/svg+xml;base64,{data}" alt="{text}" style="max-width:100%">'
    display({"text/html": image, "text/plain": unescape(text)}, raw=True)
