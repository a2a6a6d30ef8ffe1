"""IAM: each call that the tests recorded, and what Lambda does for a function, judged against every role.

A role must allow what its own function needs and deny what others need and what nobody does. Each statement is taken
away once: one without which nothing is missing is one too many.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from orders.events import EVENTS
from tests.rights import Right
from verification.second_opinion.compiled import ACCOUNT, REGION, SENDER, Template, filled, of_type
from verification.second_opinion.database import Recorded
from verification.second_opinion.engines import judged_by_iam
from verification.second_opinion.verdict import Verdict

Role = list[dict[str, Any]]
"""The statements of a function's role, without intrinsic functions."""
ALLOWED = "Allowed"


class Call(NamedTuple):
    action: str
    resource: str
    keys: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The condition keys, each with its values."""

    def said(self) -> str:
        values = ", ".join(f"{name}={'+'.join(values) or 'none'}" for name, values in self.keys)
        return f"{self.action} on {self.resource.rpartition(':')[2]} {values}".strip()


Needs = Mapping[str, set[Call]]
"""Function → the calls without which it can't do its work."""


def ask(templates: Mapping[str, Template], recorded: Sequence[Recorded]) -> Verdict:
    """Judge each function's role, and once more where a variant of the template changes it."""
    roles: dict[str, Role] = {}
    needs: dict[str, set[Call]] = {}
    never: set[Call] = set()
    for variant, template in templates.items():
        for function in functions(template):
            role = role_of(template, function)
            if role not in [known for name, known in roles.items() if name.partition(",")[0] == function]:
                name = function if function not in roles else f"{function}, {variant}"
                roles[name] = role
                needs[name] = set(calls_of_lambda(template, function))
                needs[name] |= {call(template, (action, on)) for by, action, on in recorded if by == function}
        never |= forbidden(template)
    return judged(roles, needs, never)


def judged(roles: Mapping[str, Role], needs: Needs, never: set[Call]) -> Verdict:
    everything = sorted({each for calls in needs.values() for each in calls} | never)
    asked = [(function, each) for function in roles for each in everything]
    answers = judged_by_iam([question(roles[function], each) for function, each in asked])
    objections = [
        f"{function}: {each.said()}: {answer}, but the function {'needs' if needed else 'does not need'} it"
        for (function, each), answer in zip(asked, answers, strict=True)
        if (answer == ALLOWED) != (needed := each in needs[function]) or answer.startswith("can't")
    ]
    objections += [
        f"{function}: nothing needs {json.dumps(statement)}" for function, statement in needless(roles, needs)
    ]
    return Verdict("IAM", f"{len(asked)} calls against {len(roles)} roles, by iam-simulate", objections)


def needless(roles: Mapping[str, Role], needs: Needs) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each statement without which its function lacks nothing."""
    without = [
        (function, n, each) for function, role in roles.items() for n in range(len(role)) for each in needs[function]
    ]
    answers = judged_by_iam([question(roles[name][:n] + roles[name][n + 1 :], each) for name, n, each in without])
    missed = {(name, n) for (name, n, _), answer in zip(without, answers, strict=True) if answer != ALLOWED}
    for name, role in roles.items():
        yield from ((name, statement) for n, statement in enumerate(role) if (name, n) not in missed)


def question(role: Role, call: Call) -> dict[str, Any]:
    return {
        "policies": [{"Version": "2012-10-17", "Statement": role}] if role else [],
        "action": call.action,
        "resource": call.resource,
        "context": {name: list(values) for name, values in call.keys},
    }


def role_of(template: Template, function: str) -> Role:
    role = filled(template, of_type(template, "AWS::Lambda::Function")[logical(function)]["Role"]).rpartition("/")[2]
    policies = of_type(template, "AWS::IAM::Role")[role]["Policies"]
    return [each for policy in policies for each in filled(template, policy["PolicyDocument"]["Statement"])]


def functions(template: Template) -> list[str]:
    """`orderService` and the others."""
    found = (name.removesuffix("LambdaFunction") for name in of_type(template, "AWS::Lambda::Function"))
    return [name[0].lower() + name[1:] for name in found]


def logical(function: str) -> str:
    return f"{function[0].upper()}{function[1:]}LambdaFunction"


# --- the calls --------------------------------------------------------------------------------------------------------


def call(template: Template, right: Right) -> Call:
    """A recorded right as IAM would be asked for it."""
    action, resource = right
    if action == "events:PutEvents":
        source, detail_type = resource.removeprefix("EventBus: ").split(", ")
        return publishing(template, (source,), (detail_type,))
    if action == "ses:SendEmail":
        identity = f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{SENDER}"
        return Call(action, identity, (("ses:FromAddress", (SENDER,)),))
    if resource == "phones":
        return Call(action, "*")
    name, slash, index = resource.partition("/")
    return Call(action, arn(template, name) + slash + index)


def publishing(template: Template, sources: tuple[str, ...], detail_types: tuple[str, ...]) -> Call:
    """A call of PutEvents whose entries have these between them."""
    named = {"events:detail-type": detail_types, "events:source": sources}
    return Call(
        "events:PutEvents", arn(template, "EventBus"), tuple((key, each) for key, each in named.items() if each)
    )


def calls_of_lambda(template: Template, function: str) -> Iterator[Call]:
    """What Lambda does under the function's role: write its log, keep failed invocations, read its queue."""
    name = logical(function)
    group = arn(template, name.replace("LambdaFunction", "LogGroup")).removesuffix(":*")
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Call(action, f"{group}:log-stream:2026/11/25/[$LATEST]0")
    for config in of_type(template, "AWS::Lambda::EventInvokeConfig").values():
        if config["FunctionName"] == {"Ref": name} and "DestinationConfig" in config:
            yield Call("sqs:SendMessage", filled(template, config["DestinationConfig"]["OnFailure"]["Destination"]))
    for mapping in of_type(template, "AWS::Lambda::EventSourceMapping").values():
        if name in json.dumps(mapping["FunctionName"]):
            for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
                yield Call(f"sqs:{action}", filled(template, mapping["EventSourceArn"]))


def forbidden(template: Template) -> set[Call]:
    """What no role may allow: deleting, reading all, mixed and nameless events, and what would lead to more rights."""
    tables = [arn(template, name) for name in of_type(template, "AWS::DynamoDB::Table")]
    calls = {Call(f"dynamodb:{action}", table) for action in ("DeleteItem", "Scan", "DeleteTable") for table in tables}
    calls |= {Call("dynamodb:UpdateItem", arn(template, "AuditLogTable"))}
    calls |= {Call("lambda:InvokeFunction", arn(template, name)) for name in of_type(template, "AWS::Lambda::Function")}
    calls |= {Call("events:PutRule", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/EventBus/mine")}
    calls |= {Call("sqs:ReceiveMessage", arn(template, "DeadLetterQueue"))}
    calls |= {Call("sns:Publish", arn(template, name)) for name in of_type(template, "AWS::SNS::Topic")}
    calls |= {
        Call("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/{name}") for name in of_type(template, "AWS::IAM::Role")
    }
    stranger = f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{SENDER}"
    calls |= {
        Call("ses:SendEmail", stranger, (("ses:FromAddress", ("boss@example.com",)),)),
        Call("ses:SendEmail", stranger),
    }
    published = _sources().items()
    for source, types in published:
        calls |= {
            publishing(template, (source,), ()),
            publishing(template, (), types),
            publishing(template, (source, "somebody.else"), types[:1]),
            publishing(template, (source,), (types[0], "RefundGrantedEvent")),
            publishing(template, (source,), ("",)),
        }
        calls |= {
            publishing(template, (source, other), (types[0], more[0])) for other, more in published if other != source
        }
        calls |= {publishing(template, (source,), more[:1]) for other, more in published if other != source}
    return calls | {publishing(template, (), ())}


def _sources() -> dict[str, tuple[str, ...]]:
    """Source → its detail types."""
    found: dict[str, tuple[str, ...]] = {}
    for name, event in EVENTS.items():
        found[event.source] = (*found.get(event.source, ()), name)
    return found


def arn(template: Template, name: str) -> str:
    found: str = filled(template, {"Fn::GetAtt": [name, "Arn"]})
    return found
