"""Every policy, of a role, a resource or an operator, read by parliament: unknown actions, resources and conditions."""

import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from verification.second_opinion.compiled import Template, filled, of_type
from verification.second_opinion.deploying import policy as policy_of_an_operator
from verification.second_opinion.opinion import Opinion

with warnings.catch_warnings():  # parliament is of 2024, and leaves two files of its own open
    warnings.simplefilter("ignore")
    import parliament

DEPLOYS, LOOKS = "docs/deploy-policy.json", "docs/preflight-policy.json"
MEANT: Mapping[tuple[str, str], str] = {
    ("ServerlessDeploymentBucketPolicy", "NO_VERSION"): "osls writes it; it uses none of the later version's variables",
    (DEPLOYS, "RESOURCE_STAR"): "CloudFormation names most resources only when it makes them",
    (DEPLOYS, "Unknown action billing:GetBillingViewData"): "newer than parliament's list; the budget's schema has it",
    (DEPLOYS, "RESOURCE_MISMATCH"): "`s3:*` on our buckets is no right to what S3 has beside buckets",
    (LOOKS, "RESOURCE_STAR"): "preflight reads the role that calls it, whatever that is named",
}
"""The findings that are intended, with the reason."""
_RESOURCE_POLICIES = ("AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy")

Named = tuple[str, Mapping[str, Any]]


def ask(templates: Mapping[str, Template]) -> Opinion:
    documents = {json.dumps(each): each for template in templates.values() for each in of(template)}
    operators = [(DEPLOYS, policy_of_an_operator()), (LOOKS, policy_of_an_operator("preflight"))]
    return judged([*documents.values(), *operators], MEANT)


def of(template: Template) -> Iterator[Named]:
    for name, role in of_type(template, "AWS::IAM::Role").items():
        yield from ((name, filled(template, each["PolicyDocument"])) for each in role["Policies"])
    for kind in _RESOURCE_POLICIES:
        for name, properties in of_type(template, kind).items():
            yield name, filled(template, properties["PolicyDocument"])


def judged(documents: list[Named], meant: Mapping[tuple[str, str], str]) -> Opinion:
    found = [(name, each) for name, document in documents for each in findings(document)]
    objections = [
        f"{name}: {each.issue}: {each.detail}"[:300] for name, each in found if (name, _called(each)) not in meant
    ]
    gone = meant.keys() - {(name, _called(each)) for name, each in found}
    objections += [f"{name}: {issue} is listed as intended, and is not found" for name, issue in sorted(gone)]
    return Opinion("policies", f"{len(documents)} by parliament, {len(meant)} findings intended", objections)


def _called(finding: Any) -> str:
    """A finding's kind; for an unknown action its name as well, so that an intended one hides no other."""
    return str(finding.detail if finding.issue == "UNKNOWN_ACTION" else finding.issue)


def findings(document: Mapping[str, Any]) -> list[Any]:
    return list(parliament.analyze_policy_string(json.dumps(document)).findings)
