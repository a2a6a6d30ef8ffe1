"""The operator's side of the deployed stack: tables, bus, queues, logs, functions and roles, through AWS's own APIs."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, NamedTuple

import boto3
import httpx

from operations.stack import stack_name
from orders.aws.dynamodb import Item

STACK = stack_name("local")


class FailedInvocation(NamedTuple):
    function: str
    """`paymentProcessing` and the like."""
    attempts: int
    event: Mapping[str, Any]
    reason: str


class Cloud:
    """`stack` is what `stack.json` says."""

    def __init__(self, stack: Mapping[str, Any], closing: ExitStack) -> None:
        """`closing` closes the connections, in the end."""
        self.stack = stack
        self.client = cache(self._client)
        self._closing = closing

    def _client(self, service: str) -> Any:
        client = boto3.client(  # type: ignore[call-overload] # the stubs know literal names only
            service,
            endpoint_url=self.stack["endpointUrl"],
            region_name=self.stack["region"],
            aws_access_key_id=self.stack["accessKeyId"],
            aws_secret_access_key=self.stack["secretAccessKey"],
        )
        self._closing.callback(client.close)
        return client

    def api(self, token: str | None) -> httpx.Client:
        """The HTTP API, with a bearer token or without."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return self._closing.enter_context(
            httpx.Client(base_url=self.stack["apiUrl"], headers=headers, timeout=60, trust_env=False)
        )

    # --- tables ---------------------------------------------------------------------------------------------------

    def item(self, order_id: str) -> Item | None:
        table, key = self.stack["OrdersTableName"], {"orderId": {"S": order_id}}
        found: Item | None = self.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        return found

    def store(self, item: Item) -> None:
        self.client("dynamodb").put_item(TableName=self.stack["OrdersTableName"], Item=item)

    def logged(self, event_id: str) -> list[Item]:
        """What the audit log has under EventBridge's id of an event."""
        found: list[Item] = self.client("dynamodb").query(
            TableName=self.stack["AuditLogTableName"],
            KeyConditionExpression="eventId = :event",
            ExpressionAttributeValues={":event": {"S": event_id}},
        )["Items"]
        return found

    # --- bus and queues -------------------------------------------------------------------------------------------

    def put(self, detail_type: str, source: str, detail: Any) -> str:
        """Put an event on the bus by hand; EventBridge's id of it."""
        entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail)}
        answer = self.client("events").put_events(Entries=[{"EventBusName": self.stack["EventBusName"], **entry}])
        assert answer["FailedEntryCount"] == 0, answer
        return str(answer["Entries"][0]["EventId"])

    def dead_letters(self, event_id: str) -> list[FailedInvocation]:
        """What the dead-letter queue has of an event; a look that takes nothing out."""
        bodies = [json.loads(message["Body"]) for message in self.waiting_in(self.stack["DeadLetterQueueUrl"])]
        return [
            FailedInvocation(
                body["requestContext"]["functionArn"].removesuffix(":$LATEST").rpartition(f"{STACK}-")[2],
                body["requestContext"]["approximateInvokeCount"],
                body["requestPayload"],
                body["responsePayload"]["errorMessage"],
            )
            for body in bodies
            if body["requestPayload"]["id"] == event_id
        ]

    def waiting_in(self, queue_url: str) -> list[Mapping[str, Any]]:
        """The messages in a queue; a look that takes nothing out."""
        queues = self._inside("sqs/messages", QueueUrl=queue_url)["messages"]
        regions = [urls for account in queues.values() for urls in account.values()]
        return [message for urls in regions for message in urls.get(queue_url, [])]

    @contextmanager
    def without_events_for(self, function: str) -> Iterator[None]:
        """The rules that lead to a function are disabled for as long as the block lasts."""
        events, bus = self.client("events"), self.stack["EventBusName"]
        arn = self.client("lambda").get_function_configuration(FunctionName=f"{STACK}-{function}")["FunctionArn"]
        rules = events.list_rule_names_by_target(TargetArn=arn, EventBusName=bus)["RuleNames"]
        assert rules
        for rule in rules:
            events.disable_rule(Name=rule, EventBusName=bus)
        try:
            yield
        finally:
            for rule in rules:
                events.enable_rule(Name=rule, EventBusName=bus)

    def ledger_row(self, order_id: str) -> Item | None:
        """What the payment provider remembers of an order."""
        table, key = self.stack["GatewayLedgerTableName"], {"idempotencyKey": {"S": order_id}}
        found: Item | None = self.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        return found

    # --- what was sent --------------------------------------------------------------------------------------------

    def mail_to(self, address: str) -> list[Mapping[str, Any]]:
        accounts = self._inside("ses/messages")["messages"].values()
        return [letter for letters in accounts for letter in letters if address in letter["To"]]

    def texts_to(self, phone: str) -> list[Mapping[str, Any]]:
        return list(self._inside("sns/sms-messages")["sms_messages"].get(phone, []))

    def _inside(self, path: str, **query: str) -> Any:
        answer = httpx.get(f"{self.stack['endpointUrl']}/_ministack/{path}", params=query, trust_env=False)
        return answer.raise_for_status().json()

    # --- functions and roles --------------------------------------------------------------------------------------

    def log(self, function: str, word: str) -> list[str]:
        """The lines of a function's log that have the word in them."""
        pages = self.client("logs").get_paginator("filter_log_events")
        lines = [
            line
            for page in pages.paginate(logGroupName=f"/aws/lambda/{STACK}-{function}")
            for event in page["events"]
            for line in event["message"].splitlines()
        ]
        return [line for line in lines if word in line]

    def errors(self, function: str, event_id: str) -> list[str]:
        """The messages of the errors that a function logged for an event."""
        lines = [json.loads(line) for line in self.log(function, event_id) if line.startswith("{")]
        return [line["message"] for line in lines if line.get("level") == "ERROR"]

    def invocations(self, function: str) -> int:
        """How many invocations of a function have ended."""
        return len(self.log(function, "END RequestId"))

    @contextmanager
    def environment(self, function: str, **changes: str) -> Iterator[None]:
        """The function with other variables, for as long as the block lasts."""
        functions, name = self.client("lambda"), f"{STACK}-{function}"
        before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": {**before, **changes}})
        try:
            yield
        finally:
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": before})

    def everything_logged(self) -> list[str]:
        """Every line of every log group that there is."""
        pages = self.client("logs").get_paginator("describe_log_groups").paginate()
        groups = [group["logGroupName"] for page in pages for group in page["logGroups"]]
        return [
            event["message"]
            for group in groups
            for page in self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
            for event in page["events"]
        ]

    @contextmanager
    def without(self, action: str, role: str) -> Iterator[None]:
        """The role, by its logical id, without one of its permissions, for as long as the block lasts."""
        iam = self.client("iam")
        resource = self.client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=role)
        name = resource["StackResourceDetail"]["PhysicalResourceId"]
        [policy] = iam.list_role_policies(RoleName=name)["PolicyNames"]
        before = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        kept = [statement for statement in before["Statement"] if statement["Action"] != action]
        assert len(kept) == len(before["Statement"]) - 1, before

        def put(document: Any) -> None:
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))

        put({**before, "Statement": kept})
        try:
            yield
        finally:
            put(before)
