"""An operator of the embedded AWS with the policies that a test gives, and what such a one may not do."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import boto3

from operations.stack import Outputs, Stack
from tests.e2e.cloud import Cloud
from tools.checkout import ROOT


def _unconditional(policy: Mapping[str, Any]) -> dict[str, Any]:
    """The embedded AWS's simulator takes no context: what is granted under a condition it says is denied."""
    statements = [{name: part for name, part in each.items() if name != "Condition"} for each in policy["Statement"]]
    return {**policy, "Statement": statements}


DEPLOY, PREFLIGHT = (
    _unconditional(json.loads((ROOT / "docs" / f"{name}-policy.json").read_text())) for name in ("deploy", "preflight")
)


def administrator(cloud: Cloud, stage: str = "local") -> Stack:
    """A stage as the launcher's administrator reaches it; any but `local` is not deployed."""
    return _stack(cloud, stage, cloud.stack["accessKeyId"], cloud.stack["secretAccessKey"])


@contextmanager
def operator(cloud: Cloud, *policies: Mapping[str, Any], stage: str = "local") -> Iterator[Stack]:
    """A stage as a user with these policies reaches it."""
    iam, name = cloud.client("iam"), f"operator-{uuid4()}"
    iam.create_user(UserName=name)
    for number, policy in enumerate(policies):
        iam.put_user_policy(UserName=name, PolicyName=str(number), PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    try:
        yield _stack(cloud, stage, key["AccessKeyId"], key["SecretAccessKey"])
    finally:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        for number in range(len(policies)):
            iam.delete_user_policy(UserName=name, PolicyName=str(number))
        iam.delete_user(UserName=name)


def without(policy: Mapping[str, Any], *actions: str) -> dict[str, Any]:
    """The policy without some of its actions."""
    kept = []
    for statement in policy["Statement"]:
        granted = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        if left := [action for action in granted if action not in actions]:
            kept.append({**statement, "Action": left})
    assert kept != policy["Statement"]
    return {**policy, "Statement": kept}


def _stack(cloud: Cloud, stage: str, key: str, secret: str) -> Stack:
    session = boto3.Session(key, secret, region_name=cloud.stack["region"])
    return Stack(stage, session, cloud.stack["endpointUrl"], Outputs(cloud.stack if stage == "local" else {}))
