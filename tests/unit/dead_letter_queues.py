"""The two dead-letter queues in memory, with a clock that moves when a message is received, and what is delivered."""

import json
from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from types import SimpleNamespace
from typing import Any, cast

from botocore.exceptions import ClientError

from operations.stack import Outputs, Stack, stack_name
from orders.aws.dynamodb import Item
from verification.simulation.queues import Queue

STACK = stack_name("dev")

DEAD, DEAD_NOTIFICATIONS, NOTIFICATIONS = (f"https://sqs.example/{name}" for name in ("dead", "notes-dead", "notes"))
FUNCTION = f"arn:aws:lambda:us-east-1:000000000000:function:{STACK}-fulfillment"
GONE = FUNCTION.replace("fulfillment", "gone")
POISON = {"detail-type": "Poison", "detail": {}}


def refusal(code: str, operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code} it is"}}, operation)


Entries = list[Mapping[str, Any]]


class Queues:
    """Stands in for SQS, Lambda and the Orders table, for several threads at once.

    A receive gives at most ten, oldest first; its receipt outdates the last one.
    """

    def __init__(self) -> None:
        self.now = 1_000.0
        self.receive_seconds = 0.0
        self.delivered: list[tuple[str, str]] = []
        self.receives = 0
        self.on_receive: Callable[[], None] = lambda: None
        self.on_deliver: Callable[[], object] = lambda: None
        self.refusals: dict[str, ClientError] = {GONE: refusal("ResourceNotFoundException", "Invoke")}
        self.batches: list[tuple[str, int]] = []
        """Each batch call, and how many entries it had."""
        self.failing: Callable[[str, str], str] = lambda _operation, _message_id: ""
        """The error that an entry fails with inside a batch call that succeeds; none where it is empty."""
        self.orders: dict[str, Item] = {}
        self.unprocessed: Callable[[list[Item]], list[Item]] = lambda _keys: []
        """Which of the keys a batch read leaves out."""
        self._turn = RLock()
        self._queues = {url: Queue(lambda: self.now) for url in (DEAD, DEAD_NOTIFICATIONS)}
        self._attributes: dict[str, Mapping[str, Any]] = {}

    @property
    def stack(self) -> Stack:
        session = SimpleNamespace(client=lambda *_, **__: self, region_name="us-east-1")
        outputs = {
            "DeadLetterQueueUrl": DEAD,
            "NotificationDeadLetterQueueUrl": DEAD_NOTIFICATIONS,
            "NotificationQueueUrl": NOTIFICATIONS,
            "OrdersTableName": "Orders",
            "AuditLogTableName": "AuditLog",
        }
        return Stack("dev", cast(Any, session), None, Outputs(outputs))

    def put(self, body: object, queue_url: str = DEAD, **attributes: Mapping[str, Any]) -> str:
        """Any body; the message's id."""
        text = body if isinstance(body, str) else json.dumps(body)
        message = self._queues[queue_url].send(text, f"message {len(self._attributes)}")
        self._attributes[message.name] = attributes
        return message.name

    def put_failure(self, payload: object, function: str = FUNCTION, reason: str = "no reason") -> str:
        """As Lambda does when a function has failed on a payload."""
        context = {"functionArn": f"{function}:$LATEST", "condition": "RetriesExhausted"}
        failure = {"errorMessage": reason}
        return self.put({"requestContext": context, "requestPayload": payload, "responsePayload": failure})

    def left(self) -> list[str]:
        """The ids of the messages that are still there, and visible."""
        return [
            message.name
            for queue in self._queues.values()
            for message in queue.messages.values()
            if message.visible_at <= self.now
        ]

    def receive_message(self, *, QueueUrl: str, VisibilityTimeout: int, **_: Any) -> dict[str, Any]:
        with self._turn:
            self.receives += 1
            self.now += self.receive_seconds
            self.on_receive()
            found = self._queues[QueueUrl].receive(10, VisibilityTimeout)
            messages = [
                {
                    "MessageId": message.name,
                    "ReceiptHandle": f"{message.name}#{message.received}",
                    "Body": message.body,
                    "Attributes": {"SentTimestamp": str(int(message.sent_at * 1000))},
                    "MessageAttributes": self._attributes[message.name],
                }
                for message in found
            ]
            return {"Messages": messages} if messages else {}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: Sequence[str]) -> dict[str, Any]:
        with self._turn:
            messages = self._queues[QueueUrl].messages.values()
            held = sum(message.visible_at > self.now for message in messages)
            counts = {
                "ApproximateNumberOfMessages": len(messages) - held,
                "ApproximateNumberOfMessagesNotVisible": held,
            }
            return {"Attributes": {name: str(counts[name]) for name in AttributeNames}}

    def delete_message_batch(self, *, QueueUrl: str, Entries: Entries) -> dict[str, Any]:
        return self._batch("delete", QueueUrl, Entries, lambda name, _: self._queues[QueueUrl].delete(name))

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: Entries) -> dict[str, Any]:
        def change(name: str, entry: Mapping[str, Any]) -> None:
            self._queues[QueueUrl].hide(name, entry["VisibilityTimeout"])

        return self._batch("release", QueueUrl, Entries, change)

    def _batch(
        self, operation: str, queue_url: str, entries: Entries, act: Callable[[str, Mapping[str, Any]], None]
    ) -> dict[str, Any]:
        assert 1 <= len({entry["Id"] for entry in entries}) == len(entries) <= 10
        with self._turn:
            self.batches.append((operation, len(entries)))
            failed = []
            for entry in entries:
                name = self._held(queue_url, entry["ReceiptHandle"])
                if not name:
                    failed.append({"Id": entry["Id"], "SenderFault": True, "Code": "ReceiptHandleIsInvalid"})
                elif code := self.failing(operation, name):
                    failed.append({"Id": entry["Id"], "SenderFault": False, "Code": code, "Message": "not now"})
                else:
                    act(name, entry)
            return {"Failed": failed} if failed else {}

    def _held(self, queue_url: str, receipt: str) -> str:
        """The message's id; nothing for an older receipt."""
        name, _, received = receipt.partition("#")
        message = self._queues[queue_url].messages.get(name)
        return name if message and str(message.received) == received else ""

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: str) -> None:
        self._deliver(FunctionName, Payload)

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:
        self._deliver(QueueUrl, MessageBody)

    def _deliver(self, target: str, payload: str) -> None:
        self.on_deliver()
        if target in self.refusals:
            raise self.refusals[target]
        self.delivered.append((target, payload))

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:
        [(table, request)] = RequestItems.items()
        keys = request["Keys"]
        assert 1 <= len({key["orderId"]["S"] for key in keys}) == len(keys) <= 100
        left = self.unprocessed(keys)
        found = [
            self.orders[key["orderId"]["S"]] for key in keys if key not in left and key["orderId"]["S"] in self.orders
        ]
        return {
            "Responses": {table: found},
            "UnprocessedKeys": {table: {**request, "Keys": left}} if left else {},
        }
