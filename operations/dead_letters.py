"""The two dead-letter queues: what is in them, why, and how it goes on its way again.

`DeadLetterQueue` holds what a function failed on (Lambda's on-failure record) and what EventBridge could not deliver to
a target (the event, with the reason in message attributes). `NotificationDeadLetterQueue` holds what Notification
failed on (the event alone: SQS keeps no reason, the function's log does).
"""

import json
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any, NamedTuple

from operations.stack import Stack

_HOLD = 60  # seconds for which a message that we look at is hidden from others


class DeadLetter(NamedTuple):
    """One message of a dead-letter queue."""

    queue_url: str
    receipt_handle: str
    event: Mapping[str, Any]
    """EventBridge's envelope; empty where the message holds none."""
    target: str
    """ARN or URL to which a redrive delivers the event."""
    reason: str
    body: str

    @property
    def event_type(self) -> str:
        return str(self.event.get("detail-type", "-"))

    @property
    def consumer(self) -> str:
        """Name of the function, topic or queue that the target is."""
        return self.target.rpartition(":")[2].rpartition("/")[2]

    @property
    def order_id(self) -> str:
        detail = self.event.get("detail")
        data = detail.get("data") if isinstance(detail, dict) else None
        return str(data.get("orderId", "-")) if isinstance(data, dict) else "-"


def dead_letters(stack: Stack) -> list[DeadLetter]:
    """All that the two queues hold. Nothing is taken out: afterwards each message is visible again."""
    letters = list(_received(stack))
    for letter in letters:
        _release(stack, letter.queue_url, letter.receipt_handle)
    return letters


def redrive(stack: Stack) -> Generator[DeadLetter, None, None]:
    """Deliver each dead letter to the consumer that failed on it, then delete it; yields what was delivered.

    The event reaches that one consumer only, under its own id: nothing is logged or done twice. A crash between the two
    delivers it again, which every consumer bears.
    """
    sqs = stack.client("sqs")
    with closing(_received(stack)) as letters:
        for letter in letters:
            payload = letter.body if letter.target.startswith("http") else json.dumps(letter.event)
            try:
                stack.deliver(letter.target, payload)
                sqs.delete_message(QueueUrl=letter.queue_url, ReceiptHandle=letter.receipt_handle)
            except BaseException:
                _release(stack, letter.queue_url, letter.receipt_handle)
                raise
            yield letter


def purge(stack: Stack) -> int:
    """Delete all dead letters, and return how many there were."""
    sqs = stack.client("sqs")
    count = 0
    for letter in _received(stack):
        sqs.delete_message(QueueUrl=letter.queue_url, ReceiptHandle=letter.receipt_handle)
        count += 1
    return count


def _received(stack: Stack) -> Generator[DeadLetter, None, None]:
    """Each message once: what is held is not received again, and what comes in meanwhile is left for the next time."""
    sqs = stack.client("sqs")
    started = time.time() * 1000
    for queue_url in (stack.outputs["DeadLetterQueueUrl"], stack.outputs["NotificationDeadLetterQueueUrl"]):
        while messages := sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_HOLD,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp"],
            WaitTimeSeconds=1,  # all of the queue's servers are asked, not only some
        ).get("Messages", []):
            new = [message for message in messages if int(message["Attributes"]["SentTimestamp"]) > started]
            for message in new:
                _release(stack, queue_url, message["ReceiptHandle"])
            waiting = [message for message in messages if message not in new]
            try:
                while waiting:
                    yield _letter(stack, queue_url, waiting.pop(0))
            finally:  # whoever stops in the middle leaves the rest to be seen again
                for message in waiting:
                    _release(stack, queue_url, message["ReceiptHandle"])
            if new:
                break


def _release(stack: Stack, queue_url: str, receipt_handle: str) -> None:
    """Let others see the message again."""
    stack.client("sqs").change_message_visibility(QueueUrl=queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=0)


def _letter(stack: Stack, queue_url: str, message: Mapping[str, Any]) -> DeadLetter:
    body = message["Body"]
    content = _parsed(body)
    attributes = {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
    if "requestPayload" in content:
        failure = content.get("responsePayload") or {}
        event, target = content["requestPayload"], content["requestContext"]["functionArn"].removesuffix(":$LATEST")
        reason = failure.get("errorMessage") or content["requestContext"]["condition"]
    elif "TARGET_ARN" in attributes:
        event, target, reason = content, attributes["TARGET_ARN"], attributes.get("ERROR_MESSAGE", "not delivered")
    else:
        event, target, reason = (
            content,
            stack.outputs["NotificationQueueUrl"],
            "see the log of the notification function",
        )
    return DeadLetter(queue_url, message["ReceiptHandle"], event, target, reason, body)


def _parsed(body: str) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
