"""Rights, as roles grant them and as functions make use of them: what was called against resources/roles.yml."""

from collections.abc import Iterator
from typing import Any

from tests.wire import AwsCall
from tools import topology

Right = tuple[str, str]
"""An action, and what it is done to: `("dynamodb:Query", "OrdersTable/index/byCustomer")`."""

FUNCTIONS = list(topology.service()["functions"])
TABLES = ("Orders", "AuditLog", "GatewayLedger", "Feed")


def needed_by(call: AwsCall) -> Iterator[Right]:
    """The rights without which IAM would refuse the call."""
    params = call.params
    if call.action == "events:PutEvents":
        for entry in params["Entries"]:
            yield call.action, f"EventBus: {entry['Source']}, {entry['DetailType']}"
    elif call.action == "ses:SendEmail":
        yield call.action, "the sender"
    elif call.action == "sns:Publish":
        yield call.action, "phones" if "PhoneNumber" in params else params["TopicArn"]
    elif call.action == "execute-api:PostToConnection":
        yield "execute-api:ManageConnections", "connections"
    else:
        for table in params.get("RequestItems", None) or [params["TableName"]]:
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            yield call.action, f"{table}Table{index}" if table in TABLES else f"{table}{index}"


def granted_to(function: str) -> Iterator[Right]:
    """The rights of the function's role, but for those that Lambda itself uses."""
    for statement in statements(function):
        for action in listed(statement["Action"]):
            if not action.startswith(("logs:", "sqs:")):
                for resource in _resources(statement):
                    yield action, resource


def statements(function: str) -> list[dict[str, Any]]:
    """Everything that the function's role grants."""
    role = topology.of_type("AWS::IAM::Role")[topology.service()["functions"][function]["role"]]
    assert "ManagedPolicyArns" not in role
    found = [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
    assert all(statement["Effect"] == "Allow" for statement in found)
    return found


def published_under(statement: dict[str, Any]) -> dict[str, Any]:
    """The sources and detail types of a right to publish, which has to demand that every entry names one of them."""
    condition: dict[str, dict[str, Any]] = statement["Condition"]  # without one anybody may publish anything
    names = condition["ForAllValues:StringEquals"]
    assert names.keys() == {"events:source", "events:detail-type"}
    assert condition["Null"] == dict.fromkeys(names, "false"), "ForAllValues is true of no value at all"
    assert len(listed(names["events:source"])) == 1, "IAM does not ask which type is under which source"
    return names


def listed(value: Any) -> list[Any]:
    """IAM takes one of a thing, or a list of them."""
    return value if isinstance(value, list) else [value]


def _resources(statement: dict[str, Any]) -> Iterator[str]:
    action, condition = statement["Action"], statement.get("Condition")
    if action == "events:PutEvents":
        assert statement["Resource"] == {"Fn::GetAtt": "EventBus.Arn"}
        names = published_under(statement)
        for source in listed(names["events:source"]):
            for detail_type in listed(names["events:detail-type"]):
                yield f"EventBus: {source}, {detail_type}"
    elif action == "ses:SendEmail":
        [(_, allowed)] = condition.items()  # type: ignore[union-attr]
        assert allowed == {"ses:FromAddress": "${param:senderEmail}"}
        yield "the sender"
    elif action == "sns:Publish":
        assert "Resource" not in statement
        assert "arn:${AWS::Partition}:sns:" in str(statement["NotResource"]), "every topic is taken away"
        yield "phones"
    elif action == "execute-api:ManageConnections":
        assert statement["Resource"]["Fn::Sub"].endswith(":${WebsocketsApi}/${sls:stage}/POST/@connections/*")
        yield "connections"
    else:
        assert condition is None
        for resource in listed(statement["Resource"]):
            [(kind, value)] = resource.items()
            yield value.removesuffix(".Arn") if kind == "Fn::GetAtt" else value.replace("${", "").replace(".Arn}", "")
