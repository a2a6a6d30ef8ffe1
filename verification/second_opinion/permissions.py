"""IAM: each call that the tests recorded, and Lambda's calls for a function, checked against every role.

A role must allow the calls of its own function and deny those of others and those that nobody makes. Each statement is
removed once: a statement that nothing needs is superfluous.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from orders.events import EVENTS
from tests.rights import Right
from verification.second_opinion.compiled import ACCOUNT, REGION, SENDER, Template, filled, of_type
from verification.second_opinion.database import Recorded
from verification.second_opinion.engines import judged_by_iam
from verification.second_opinion.opinion import Opinion

Role = list[dict[str, Any]]
"""The statements of a function's role, without intrinsic functions."""
ALLOWED = "Allowed"


class IamRequest(NamedTuple):
    action: str
    resource: str
    keys: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The condition keys, each with its values."""

    def description(self) -> str:
        values = ", ".join(f"{name}={'+'.join(values) or 'none'}" for name, values in self.keys)
        return f"{self.action} on {self.resource.rpartition(':')[2]} {values}".strip()


Needs = Mapping[str, set[IamRequest]]
"""Function → the calls without which it can't do its work."""


def ask(templates: Mapping[str, Template], recorded: Sequence[Recorded]) -> Opinion:
    """Check each function's role, and once more if a variant of the template changes it."""
    roles: dict[str, Role] = {}
    needs: dict[str, set[IamRequest]] = {}
    never: set[IamRequest] = set()
    for variant, template in templates.items():
        for function in functions(template):
            role = role_of(template, function)
            if role not in [known for name, known in roles.items() if name.partition(",")[0] == function]:
                name = function if function not in roles else f"{function}, {variant}"
                roles[name] = role
                needs[name] = set(requests_of_lambda(template, function))
                needs[name] |= {request_for(template, (action, on)) for by, action, on in recorded if by == function}
        never |= forbidden(template)
    return judged(roles, needs, never)


def judged(roles: Mapping[str, Role], needs: Needs, never: set[IamRequest]) -> Opinion:
    everything = sorted({each for calls in needs.values() for each in calls} | never)
    asked = [(function, each) for function in roles for each in everything]
    answers = judged_by_iam([question(roles[function], each) for function, each in asked])
    objections = [
        f"{function}: {each.description()}: {answer}, but the function {'needs' if needed else 'does not need'} it"
        for (function, each), answer in zip(asked, answers, strict=True)
        if (answer == ALLOWED) != (needed := each in needs[function]) or answer.startswith("can't")
    ]
    objections += [
        f"{function}: nothing needs {json.dumps(statement)}" for function, statement in needless(roles, needs)
    ]
    return Opinion("IAM", f"{len(asked)} calls against {len(roles)} roles, by iam-simulate", objections)


def needless(roles: Mapping[str, Role], needs: Needs) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each statement that its function does not need."""
    without = [
        (function, n, each) for function, role in roles.items() for n in range(len(role)) for each in needs[function]
    ]
    answers = judged_by_iam([question(roles[name][:n] + roles[name][n + 1 :], each) for name, n, each in without])
    missed = {(name, n) for (name, n, _), answer in zip(without, answers, strict=True) if answer != ALLOWED}
    for name, role in roles.items():
        yield from ((name, statement) for n, statement in enumerate(role) if (name, n) not in missed)


def question(role: Role, call: IamRequest) -> dict[str, Any]:
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


def request_for(template: Template, right: Right) -> IamRequest:
    """A recorded right in the form of a question to IAM."""
    action, resource = right
    if action == "events:PutEvents":
        source, detail_type = resource.removeprefix("EventBus: ").split(", ")
        return publishing(template, (source,), (detail_type,))
    if action == "ses:SendEmail":
        identity = f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{SENDER}"
        return IamRequest(action, identity, (("ses:FromAddress", (SENDER,)),))
    if resource == "phones":
        return IamRequest(action, "*")
    if resource == "connections":
        return connection(template, "POST")
    name, slash, index = resource.partition("/")
    return IamRequest(action, arn(template, name) + slash + index)


def connection(template: Template, method: str, *, api: str = "WebsocketsApi", stage: str = "") -> IamRequest:
    """Send to a WebSocket (POST), read its state (GET) or close it (DELETE); of another API or stage, if given."""
    [own] = [each["StageName"] for each in of_type(template, "AWS::ApiGatewayV2::Stage").values() if _of_sockets(each)]
    arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/{stage or own}/{method}/@connections/IZ5tdfpJoAMCJrw="
    return IamRequest("execute-api:ManageConnections", arn)


def _of_sockets(stage: Mapping[str, Any]) -> bool:
    return bool(stage["ApiId"] == {"Ref": "WebsocketsApi"})


def publishing(template: Template, sources: tuple[str, ...], detail_types: tuple[str, ...]) -> IamRequest:
    """A call of PutEvents whose entries have these between them."""
    named = {"events:detail-type": detail_types, "events:source": sources}
    return IamRequest(
        "events:PutEvents", arn(template, "EventBus"), tuple((key, each) for key, each in named.items() if each)
    )


def requests_of_lambda(template: Template, function: str) -> Iterator[IamRequest]:
    """Lambda's calls under the function's role: write its log, send failed invocations, read its queue."""
    name = logical(function)
    group = arn(template, name.replace("LambdaFunction", "LogGroup")).removesuffix(":*")
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield IamRequest(action, f"{group}:log-stream:2026/11/25/[$LATEST]0")
    for config in of_type(template, "AWS::Lambda::EventInvokeConfig").values():
        if config["FunctionName"] == {"Ref": name} and "DestinationConfig" in config:
            yield IamRequest(
                "sqs:SendMessage", filled(template, config["DestinationConfig"]["OnFailure"]["Destination"])
            )
    for mapping in of_type(template, "AWS::Lambda::EventSourceMapping").values():
        if name in json.dumps(mapping["FunctionName"]):
            for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
                yield IamRequest(f"sqs:{action}", filled(template, mapping["EventSourceArn"]))


def forbidden(template: Template) -> set[IamRequest]:
    """Calls that no role may allow: deletes, scans, mixed and nameless events, other WebSockets, and more rights."""
    tables = [arn(template, name) for name in of_type(template, "AWS::DynamoDB::Table")]
    calls = {
        IamRequest(f"dynamodb:{action}", table) for action in ("DeleteItem", "Scan", "DeleteTable") for table in tables
    }
    calls |= {IamRequest("dynamodb:UpdateItem", arn(template, "AuditLogTable"))}
    ledger = arn(template, "GatewayLedgerTable")  # its adapter neither reads nor puts: in between another could decide
    calls |= {IamRequest(f"dynamodb:{action}", ledger) for action in ("GetItem", "BatchGetItem", "Query", "PutItem")}
    calls |= {
        IamRequest("lambda:InvokeFunction", arn(template, name)) for name in of_type(template, "AWS::Lambda::Function")
    }
    calls |= {IamRequest("events:PutRule", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/EventBus/mine")}
    calls |= {IamRequest("sqs:ReceiveMessage", arn(template, "DeadLetterQueue"))}
    calls |= {IamRequest("sns:Publish", arn(template, name)) for name in of_type(template, "AWS::SNS::Topic")}
    calls |= {
        IamRequest("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/{name}")
        for name in of_type(template, "AWS::IAM::Role")
    }
    stranger = f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{SENDER}"
    calls |= {
        IamRequest("ses:SendEmail", stranger, (("ses:FromAddress", ("boss@example.com",)),)),
        IamRequest("ses:SendEmail", stranger),
    }
    if any(map(_of_sockets, of_type(template, "AWS::ApiGatewayV2::Stage").values())):
        calls |= {connection(template, "GET"), connection(template, "DELETE")}
        calls |= {connection(template, "POST", api="HttpApi"), connection(template, "POST", stage="another")}
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
