"""The clients that replace boto3's in the simulator: the same methods and responses, with faults on the network.

They have only the methods and parameters that the code uses; any other is a TypeError.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from orders.aws.dynamodb import Item
from verification.evidence import SentMessage
from verification.expressions import Bound
from verification.simulation.cloud import SimulatedCloud
from verification.simulation.faults import FaultKind
from verification.simulation.online_checker import LEDGER
from verification.tables import ConditionalCheckFailedException, QueryPage, Write

Response = dict[str, Any]
_RECEIPT = " receipt "


def client(cloud: SimulatedCloud, service: str, config: Any) -> Any:
    """Replace `boto3.client(service, config=Config(…))`; without a Config the attempts are boto3's default."""
    attempts = config.retries["total_max_attempts"] if config else 5
    return _CLIENTS[service](cloud, attempts, config.read_timeout if config else 60)


class _Client:
    def __init__(self, cloud: SimulatedCloud, attempts: int, read_timeout_seconds: float) -> None:
        self._cloud = cloud
        self._attempts = attempts
        self._read_timeout_seconds = read_timeout_seconds

    def close(self) -> None:
        """Nothing is kept open."""

    def _call(self, action: str, effect: Any, detail: str = "", special: FaultKind | None = None) -> Any:
        return self._cloud.network.call(
            action,
            effect,
            attempts=self._attempts,
            read_timeout_seconds=self._read_timeout_seconds,
            detail=detail,
            special=special,
        )


class _Exceptions:
    ClientError = ClientError
    ConditionalCheckFailedException = ConditionalCheckFailedException


class DynamoDB(_Client):
    exceptions = _Exceptions

    def put_item(
        self,
        *,
        TableName: str,
        Item: Item,
        ConditionExpression: str,
        ReturnValuesOnConditionCheckFailure: str = "NONE",
    ) -> Response:
        table = self._cloud.tables[TableName]
        old = ReturnValuesOnConditionCheckFailure == "ALL_OLD"
        self._record_write(Write(TableName, Item, "", ConditionExpression, Bound({}, {})))

        def effect(_fault: FaultKind | None) -> Response:
            table.put(Item, ConditionExpression, Bound({}, {}), return_old=old)
            return {}

        return self._call("PutItem", effect, TableName)  # type: ignore[no-any-return]

    def update_item(
        self,
        *,
        TableName: str,
        Key: Item,
        UpdateExpression: str,
        ConditionExpression: str,
        ExpressionAttributeNames: Mapping[str, str],
        ExpressionAttributeValues: Mapping[str, Any] | None = None,
        ReturnValues: str = "NONE",
        ReturnValuesOnConditionCheckFailure: str = "NONE",
    ) -> Response:
        table = self._cloud.tables[TableName]
        bound = Bound(ExpressionAttributeNames, ExpressionAttributeValues or {})
        old = ReturnValuesOnConditionCheckFailure == "ALL_OLD"
        self._record_write(Write(TableName, Key, UpdateExpression, ConditionExpression, bound))

        def write() -> Response:
            before = table.get(Key)
            after = table.update(Key, UpdateExpression, ConditionExpression, bound, return_old=old)
            returned = {"ALL_NEW": after, "ALL_OLD": before}.get(ReturnValues)
            return {"Attributes": returned} if returned is not None else {}

        def effect(fault: FaultKind | None) -> Response:
            if fault is FaultKind.TAKES_EFFECT_LATER:
                self._cloud.carry_out_later(write)
                raise ReadTimeoutError(endpoint_url="https://simulated.invalid", error=fault.value)
            return write()

        if TableName == LEDGER:
            return self._call("Gateway", effect, UpdateExpression, FaultKind.TAKES_EFFECT_LATER)  # type: ignore[no-any-return]
        return self._call("UpdateItem", effect, UpdateExpression)  # type: ignore[no-any-return]

    def _record_write(self, write: Write) -> None:
        self._cloud.writes.setdefault((write.table, write.update, write.condition), write)

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool = False) -> Response:
        if not ConsistentRead:
            raise NotImplementedError("no simulated table reads inconsistently without an index")

        def effect(_fault: FaultKind | None) -> Response:
            item = self._cloud.tables[TableName].get(Key)
            return {"Item": item} if item is not None else {}

        return self._call("GetItem", effect, TableName)  # type: ignore[no-any-return]

    def batch_get_item(self, *, RequestItems: Mapping[str, Mapping[str, Any]]) -> Response:
        [(name, request)] = RequestItems.items()
        if not request["ConsistentRead"]:
            raise NotImplementedError("no simulated table reads inconsistently without an index")

        def effect(fault: FaultKind | None) -> Response:
            keys = request["Keys"]
            read = keys[: (len(keys) + 1) // 2] if fault is FaultKind.PART_LEFT_OUT else keys
            if self._cloud.keys_are_left_out():
                read = []
            left = keys[len(read) :]
            items = [item for key in read if (item := self._cloud.tables[name].get(key)) is not None]
            return {
                "Responses": {name: items},
                "UnprocessedKeys": {name: {**request, "Keys": left}} if left else {},
            }

        return self._call("BatchGetItem", effect, name, FaultKind.PART_LEFT_OUT)  # type: ignore[no-any-return]

    def query(
        self,
        *,
        TableName: str,
        IndexName: str,
        KeyConditionExpression: str,
        ExpressionAttributeValues: Mapping[str, Any],
        ExpressionAttributeNames: Mapping[str, str] | None = None,
        ScanIndexForward: bool = True,
        Limit: int | None = None,
        ExclusiveStartKey: Item | None = None,
        Select: str = "ALL_PROJECTED_ATTRIBUTES",
    ) -> Response:
        bound = Bound(ExpressionAttributeNames or {}, ExpressionAttributeValues)
        name = f"{self._cloud.world.thread.name}/{self._cloud.world.thread.calls + 1}"

        def effect(fault: FaultKind | None) -> Response:
            page: QueryPage = self._cloud.tables[TableName].query(
                IndexName,
                KeyConditionExpression,
                bound,
                lag=lambda key: self._cloud.index_lag(name, key),
                forward=ScanIndexForward,
                limit=1 if fault is FaultKind.PART_LEFT_OUT else Limit,  # a page may end anywhere: it holds 1 MB
                start=ExclusiveStartKey,
            )
            found = {} if Select == "COUNT" else {"Items": page.items}
            more = {"LastEvaluatedKey": page.last} if page.last else {}
            return {"Count": len(page.items), **found, **more}

        return self._call("Query", effect, IndexName, FaultKind.PART_LEFT_OUT)  # type: ignore[no-any-return]

    def get_paginator(self, operation: str) -> Any:
        assert operation == "query"
        return _Pages(self)


class _Pages:
    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb

    def paginate(self, **query: Any) -> Iterator[Response]:
        page = self._dynamodb.query(**query)
        yield page
        while "LastEvaluatedKey" in page:
            page = self._dynamodb.query(**query, ExclusiveStartKey=page["LastEvaluatedKey"])
            yield page


class Events(_Client):
    def put_events(self, *, Entries: list[Mapping[str, str]]) -> Response:
        def effect(fault: FaultKind | None) -> Response:
            if self._cloud.is_down("bus", FaultKind.BUS_DOWN):
                raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "the bus is down"}}, "PutEvents")
            failed = self._cloud.failed_entries(len(Entries)) if fault is FaultKind.ENTRY_FAILED else set()
            failure = {"ErrorCode": "InternalFailure", "ErrorMessage": FaultKind.ENTRY_FAILED.value}
            results = [
                failure if number in failed else {"EventId": self._cloud.put_event(entry)}
                for number, entry in enumerate(Entries)
            ]
            return {"FailedEntryCount": len(failed), "Entries": results}

        detail = ", ".join(entry["DetailType"] for entry in Entries)
        return self._call("PutEvents", effect, detail, FaultKind.ENTRY_FAILED)  # type: ignore[no-any-return]


class SES(_Client):
    def send_email(self, *, FromEmailAddress: str, Destination: Any, Content: Any) -> Response:
        [address] = Destination["ToAddresses"]
        text = Content["Simple"]["Body"]["Text"]["Data"]

        def effect(fault: FaultKind | None) -> Response:
            [order_id] = [order_id for order_id in self._cloud.checker.labels if order_id in text]
            if fault is FaultKind.REJECTED:
                self._cloud.checker.rejected.add((order_id, "email"))
                raise ClientError({"Error": {"Code": "MessageRejected", "Message": fault.value}}, "SendEmail")
            self._cloud.checker.check_text(order_id, text)
            self._cloud.checker.sent(SentMessage(order_id, "email", address))
            return {"MessageId": self._cloud.new_id()}

        return self._call("SendEmail", effect, address, FaultKind.REJECTED)  # type: ignore[no-any-return]


class SNS(_Client):
    def publish(
        self, *, Message: str, PhoneNumber: str = "", TopicArn: str = "", MessageAttributes: Any = None
    ) -> Response:
        def effect(_fault: FaultKind | None) -> Response:
            if TopicArn:
                self._cloud.send_to(TopicArn, Message, f"redriven.{self._cloud.new_id()}")
            else:
                known = self._cloud.checker.labels
                [order_id] = [order_id for order_id in known if order_id[:8].upper() in Message]
                self._cloud.checker.check_text(order_id, Message)
                self._cloud.checker.sent(SentMessage(order_id, "sms", PhoneNumber))
            return {"MessageId": self._cloud.new_id()}

        return self._call("Publish", effect, PhoneNumber or TopicArn)  # type: ignore[no-any-return]


class SQS(_Client):
    """SQS for the operator's commands."""

    def receive_message(
        self,
        *,
        QueueUrl: str,
        MaxNumberOfMessages: int,
        VisibilityTimeout: int,
        MessageAttributeNames: list[str],
        MessageSystemAttributeNames: list[str],
        WaitTimeSeconds: int,
    ) -> Response:
        def effect(_fault: FaultKind | None) -> Response:
            received = self._cloud.queues[QueueUrl].receive(MaxNumberOfMessages, VisibilityTimeout)
            messages = [
                {
                    "MessageId": message.name,
                    "Body": message.body,
                    "ReceiptHandle": f"{message.name}{_RECEIPT}{message.received}",
                    "Attributes": {"SentTimestamp": str(int(self._cloud.milliseconds(message.sent_at)))},
                    "MessageAttributes": {
                        name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()
                    },
                }
                for message in received
            ]
            return {"Messages": messages} if messages else {}

        return self._call("ReceiveMessage", effect, QueueUrl)  # type: ignore[no-any-return]

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[Mapping[str, Any]]) -> Response:
        def delete(entry: Mapping[str, Any]) -> None:
            if name := self._held_message(QueueUrl, entry["ReceiptHandle"]):
                self._cloud.queues[QueueUrl].delete(name)

        return self._batch("DeleteMessageBatch", Entries, delete)

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[Mapping[str, Any]]) -> Response:
        def change(entry: Mapping[str, Any]) -> str | None:
            name = self._held_message(QueueUrl, entry["ReceiptHandle"])
            if not name:
                return "ReceiptHandleIsInvalid"
            self._cloud.queues[QueueUrl].hide(name, entry["VisibilityTimeout"])
            return None

        return self._batch("ChangeMessageVisibilityBatch", Entries, change)

    def _batch(
        self, action: str, entries: list[Mapping[str, Any]], act: Callable[[Mapping[str, Any]], Any]
    ) -> Response:
        """Act on each entry and return the errors. `act` returns an error code where the sender is at fault."""
        assert 1 <= len(entries) <= 10

        def effect(fault: FaultKind | None) -> Response:
            broken = self._cloud.failed_entries(len(entries)) if fault is FaultKind.ENTRY_FAILED else set()
            failed = []
            for number, entry in enumerate(entries):
                if code := "InternalError" if number in broken else act(entry):
                    fault_of_ours = number not in broken
                    failed.append({"Id": entry["Id"], "SenderFault": fault_of_ours, "Code": code, "Message": action})
            return {"Failed": failed} if failed else {}

        return self._call(action, effect, f"{len(entries)} entries", FaultKind.ENTRY_FAILED)  # type: ignore[no-any-return]

    def _held_message(self, queue_url: str, receipt: str) -> str | None:
        """Return the message of a receipt, or None for an older receipt, which SQS ignores without an error."""
        name, _, received = receipt.rpartition(_RECEIPT)
        message = self._cloud.queues[queue_url].messages.get(name)
        return name if message and str(message.received) == received else None

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:
        def effect(_fault: FaultKind | None) -> None:
            self._cloud.send_to(QueueUrl, MessageBody, f"redriven.{self._cloud.new_id()}")

        self._call("SendMessage", effect, QueueUrl)


class Lambda(_Client):
    """Lambda for the operator's commands."""

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: str) -> None:
        assert InvocationType == "Event"
        self._call("Invoke", lambda _: self._cloud.redrive(FunctionName, Payload))


_CLIENTS: Mapping[str, type[_Client]] = {
    "dynamodb": DynamoDB,
    "events": Events,
    "sesv2": SES,
    "sns": SNS,
    "sqs": SQS,
    "lambda": Lambda,
}
