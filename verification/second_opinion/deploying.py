"""The rights of an operator who deploys and maintains a stage.

docs/deploy-policy.json is checked against the rights that the provider schemas name.

CloudFormation works with the rights of its caller. Its schema of each resource type, which cfn-lint ships, names those
that creating, reading, updating, deleting and tagging such a resource may need. Some are for features that no resource
here has; they are listed with the reason.

docs/preflight-policy.json adds the right to read the tables, for `npm run ledger` and `npm run dlq`, and no other.
"""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.rights import listed
from tools.checkout import ROOT
from verification.second_opinion.compiled import ACCOUNT, REGION, Template
from verification.second_opinion.engines import judged_by_iam
from verification.second_opinion.opinion import Opinion

LARGEST = 6144
"""Characters, without white space, of a managed policy."""
NOT_NEEDED = {
    "ec2:*": "no function is in a VPC",
    "elasticfilesystem:*": "no function mounts a file system",
    "s3files:*": "no function mounts a bucket",
    "kms:*": "no resource has a key of the customer's own",
    "kinesis:*": "no table and no function has a Kinesis stream",
    "firehose:*": "the API's access log goes to CloudWatch",
    "s3tables:*": "no bucket has a metadata table",
    "iam:CreateServiceLinkedRole": "the user pool sends its mail by itself",
    "iam:PutRolePermissionsBoundary": "no role has a boundary",
    "iam:DeleteRolePermissionsBoundary": "no role has a boundary",
}
_HANDLERS = ("create", "read", "update", "delete")

Policy = Mapping[str, Any]


def policy(name: str = "deploy") -> Policy:
    document: Policy = json.loads((ROOT / "docs" / f"{name}-policy.json").read_text())
    return document


def ask(templates: Mapping[str, Template]) -> Opinion:
    kinds = {each["Type"] for template in templates.values() for each in template["Resources"].values()}
    opinion = judged(policy(), {kind: rights(kind) for kind in sorted(kinds)}, NOT_NEEDED)
    return opinion._replace(objections=[*opinion.objections, *reading(policy("preflight"))])


def judged(document: Policy, needed: Mapping[str, set[str]], not_needed: Mapping[str, str]) -> Opinion:
    actions = [action for statement in document["Statement"] for action in listed(statement["Action"])]
    spared = {
        pattern for pattern in not_needed if any(_is(each, pattern) for all_of in needed.values() for each in all_of)
    }
    objections = [
        f"{kind} needs {action}"
        for kind, all_of in needed.items()
        for action in sorted(all_of)
        if not any(_is(action, pattern) for pattern in (*actions, *not_needed))
    ]
    objections += [
        f"no schema names {each}, which is listed as not needed" for each in sorted(not_needed.keys() - spared)
    ]
    size = len("".join(json.dumps(document).split()))
    objections += [f"the policy has {size} characters, and may have {LARGEST}"] if size > LARGEST else []
    objections += passing(document)
    rights_of_all = len({each for all_of in needed.values() for each in all_of})
    return Opinion("deploying", f"{rights_of_all} rights of {len(needed)} resource types by their schemas", objections)


def rights(kind: str) -> set[str]:
    """The rights that the schema of a resource type names."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
    handlers = [schema["handlers"][name] for name in _HANDLERS if name in schema["handlers"]]
    return {action for each in (*handlers, schema.get("tagging", {})) for action in each.get("permissions", [])}


PASSED = {
    ("order-processing-dev-FulfillmentRole-1", "lambda.amazonaws.com", "aws"): True,
    ("order-processing-dev-FulfillmentRole-1", "lambda.amazonaws.com", "aws-cn"): True,
    ("order-processing-dev-FulfillmentRole-1", "ec2.amazonaws.com", "aws"): False,
    ("administrator", "lambda.amazonaws.com", "aws"): False,
}
"""A role, the service to which it is passed, the partition; and whether the operator may pass it."""


def passing(document: Policy) -> list[str]:
    questions = [
        {
            "policies": [document],
            "action": "iam:PassRole",
            "resource": f"arn:{partition}:iam::{ACCOUNT}:role/{role}",
            "context": {"iam:PassedToService": service},
        }
        for role, service, partition in PASSED
    ]
    answers = zip(PASSED.items(), judged_by_iam(questions), strict=True)
    return [f"giving {given}: {said}" for (given, expected), said in answers if (said == "Allowed") != expected]


LEDGER = "order-processing-dev-GatewayLedgerTable-1"
READ = {
    ("Scan", "order-processing-dev-OrdersTable-1", "aws"): True,
    ("GetItem", "order-processing-dev-OrdersTable-1", "aws"): True,
    ("BatchGetItem", "order-processing-dev-OrdersTable-1", "aws"): True,
    ("Scan", LEDGER, "aws"): True,
    ("GetItem", LEDGER, "aws-cn"): True,
    ("Scan", "payroll", "aws"): False,
    **{(f"{change}Item", LEDGER, "aws"): False for change in ("Update", "Put", "Delete", "BatchWrite")},
}
"""Action, table and partition; and whether an operator who reads orders and ledger has the right."""


def reading(document: Policy) -> list[str]:
    questions = [
        {
            "policies": [document],
            "action": f"dynamodb:{action}",
            "resource": f"arn:{partition}:dynamodb:{REGION}:{ACCOUNT}:table/{table}",
            "context": {},
        }
        for action, table, partition in READ
    ]
    answers = zip(READ.items(), judged_by_iam(questions), strict=True)
    return [f"reading, {given}: {said}" for (given, expected), said in answers if (said == "Allowed") != expected]


def _is(action: str, pattern: str) -> bool:
    """IAM ignores upper and lower case."""
    return fnmatchcase(action.lower(), pattern.lower())
