"""The CloudFormation template as osls compiles it, in each variant, and its values as a deploy would fill them in."""

import json
import re
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from local.emulator.state import LocalError
from tests.tools.checkout import Checkout
from tools import topology

Template = Mapping[str, Any]
ACCOUNT, REGION, STACK, SENDER = "123456789012", "us-east-1", "order-processing", "orders@example.com"
_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}
_ARNS = {
    "AWS::CloudFront::Distribution": "arn:aws:cloudfront::{account}:distribution/{name}",
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::Events::EventBus": "arn:aws:events:{region}:{account}:event-bus/{name}",
    "AWS::Events::Rule": "arn:aws:events:{region}:{account}:rule/{name}",
    "AWS::IAM::Role": "arn:aws:iam::{account}:role/{name}",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SNS::Topic": "arn:aws:sns:{region}:{account}:{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{name}",
}
"""The value of `Fn::GetAtt` of `Arn`; the name is the resource's logical id."""


@cache
def variants() -> Mapping[str, Template]:
    """Stages dev and prod; dev with each boolean parameter inverted; dev with alarms by mail and a budget."""
    asked: dict[str, tuple[str, ...]] = {
        "dev": (),
        "prod": (),
        "dev, with alarms by mail and a budget": (
            *("--param", "alarmEmail=ops@example.com"),
            *("--param", "monthlyBudgetUsd=50"),
        ),
    }
    for name, value in topology.service()["params"]["default"].items():
        if isinstance(value, bool):
            other = f"{name}={str(not value).lower()}"
            asked[f"dev, {other}"] = ("--param", other)
    with tempfile.TemporaryDirectory() as folder:
        checkout = Checkout(Path(folder))
        return {each: _package(checkout, each.split(",")[0], *parameters) for each, parameters in asked.items()}


def _package(checkout: Checkout, stage: str, *parameters: str) -> Template:
    ran = checkout.run("sls", "package", "--stage", stage, "--param", f"senderEmail={SENDER}", *parameters)
    if ran.returncode != 0:
        raise LocalError(f"sls package --stage {stage} {' '.join(parameters)}: {(ran.stderr or ran.stdout)[-500:]}")
    file = checkout.folder / ".serverless" / "cloudformation-template-update-stack.json"
    template: Template = json.loads(file.read_text())
    return template


def of_type(template: Template, kind: str) -> dict[str, Any]:
    """Logical id → properties."""
    return {name: each.get("Properties", {}) for name, each in template["Resources"].items() if each["Type"] == kind}


def filled(template: Template, value: Any) -> Any:
    """The value with its functions replaced by names and ARNs. Raises LookupError for an unknown one."""
    if isinstance(value, list):
        return [filled(template, each) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(function, given)] = value.items()
        if function == "Ref":
            return _reference(template, given)
        if function == "Fn::GetAtt":
            return _attribute(template, *(given.split(".") if isinstance(given, str) else given))
        if function == "Fn::Join":
            return given[0].join(filled(template, given[1]))
        if function == "Fn::Sub":
            return re.sub(r"\$\{([\w:.]+)}", lambda found: _substituted(template, found[1]), given)
    return {name: filled(template, each) for name, each in value.items()}


def _substituted(template: Template, name: str) -> str:
    return _attribute(template, *name.split(".")) if "." in name else _reference(template, name)


def _reference(template: Template, name: str) -> str:
    if name in _PSEUDO:
        return _PSEUDO[name]
    return _attribute(template, name, "Arn") if template["Resources"][name]["Type"] == "AWS::SNS::Topic" else name


def _attribute(template: Template, name: str, attribute: str) -> str:
    kind = template["Resources"][name]["Type"]
    if attribute != "Arn" or kind not in _ARNS:
        raise LookupError(f"verification/second_opinion/compiled.py does not know {attribute} of {kind}")
    return _ARNS[kind].format(account=ACCOUNT, region=REGION, name=name)
