"""The two dead-letter queues in memory, with a clock that moves when a message is received, and what is delivered."""

import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

from botocore.exceptions import ClientError

from operations.stack import Outputs, Stack, stack_name
from verification.simulation.queues import Queue

STACK = stack_name("dev")

DEAD, DEAD_NOTIFICATIONS, NOTIFICATIONS = (f"https://sqs.example/{name}" for name in ("dead", "notes-dead", "notes"))
FUNCTION = f"arn:aws:lambda:us-east-1:000000000000:function:{STACK}-fulfillment"
GONE = FUNCTION.replace("fulfillment", "gone")
POISON = {"detail-type": "Poison", "detail": {}}


def refusal(code: str, operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code} it is"}}, operation)


class Queues:
    """Stands in for SQS and Lambda: a receive gives at most ten, oldest first; its receipt outdates the last one."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.receive_seconds = 0.0
        self.delivered: list[tuple[str, str]] = []
        self.receives = 0
        self.on_receive: Callable[[], None] = lambda: None
        self.refusals: dict[str, ClientError] = {GONE: refusal("ResourceNotFoundException", "Invoke")}
        self._queues = {url: Queue(lambda: self.now) for url in (DEAD, DEAD_NOTIFICATIONS)}
        self._attributes: dict[str, Mapping[str, Any]] = {}

    @property
    def stack(self) -> Stack:
        session = SimpleNamespace(client=lambda *_, **__: self, region_name="us-east-1")
        outputs = {
            "DeadLetterQueueUrl": DEAD,
            "NotificationDeadLetterQueueUrl": DEAD_NOTIFICATIONS,
            "NotificationQueueUrl": NOTIFICATIONS,
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

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:
        self._queues[QueueUrl].delete(self._held(QueueUrl, ReceiptHandle))

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        self._queues[QueueUrl].hide(self._held(QueueUrl, ReceiptHandle), VisibilityTimeout)

    def _held(self, queue_url: str, receipt: str) -> str:
        name, _, received = receipt.partition("#")
        message = self._queues[queue_url].messages.get(name)
        if not message or str(message.received) != received:
            raise refusal("ReceiptHandleIsInvalid")
        return name

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: str) -> None:
        self._deliver(FunctionName, Payload)

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:
        self._deliver(QueueUrl, MessageBody)

    def _deliver(self, target: str, payload: str) -> None:
        if target in self.refusals:
            raise self.refusals[target]
        self.delivered.append((target, payload))
