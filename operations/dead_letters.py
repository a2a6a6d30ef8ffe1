"""The two dead-letter queues: what is in them, why, and how it goes on its way again.

`DeadLetterQueue` holds what a function failed on (Lambda's on-failure record) and what EventBridge could not deliver to
a target (the event, with the reason in message attributes). `NotificationDeadLetterQueue` holds what Notification
failed on (the event alone: SQS keeps no reason, the function's log does).

Anybody's event can end there, whatever it is: a message is shown with what can be read of it, and stays as it is.
"""

import json
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, ParamValidationError

from operations.errors import OperatorError
from operations.stack import Stack
from tools import topology

_VISIBILITY_TIMEOUT_SECONDS = 60
"""How long a received message is hidden from other consumers, at first; see `_Look`."""

_LONGEST_VISIBILITY_TIMEOUT_SECONDS = 3600
_FRUITLESS_MESSAGES = 100
_NO_LONGER_HELD = {"ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"}
_LOGIN_REFUSED = {
    *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "UnrecognizedClientException"),
    *("InvalidSignatureException", "SignatureDoesNotMatch", "MissingAuthenticationToken"),
}


class DeadLetter(NamedTuple):
    """One message of a dead-letter queue."""

    queue_url: str
    message_id: str
    event: Mapping[str, Any]
    """EventBridge's envelope; empty where the message holds none."""
    target: str
    """ARN or URL to which a redrive delivers the payload; empty where the message does not say."""
    reason: str
    payload: str
    """What failed, as the target got it."""

    @property
    def event_type(self) -> str:
        return str(self.event.get("detail-type", "-"))

    @property
    def consumer(self) -> str:
        """Name of the function, topic or queue that the target is."""
        return self.target.rpartition(":")[2].rpartition("/")[2] or "-"

    @property
    def order_id(self) -> str:
        detail = self.event.get("detail")
        data = detail.get("data") if isinstance(detail, dict) else None
        return str(data.get("orderId", "-")) if isinstance(data, dict) else "-"


class Undelivered(OperatorError):
    """A redrive left these in their queue, each with the reason; all others were delivered."""

    def __init__(self, failures: list[tuple[DeadLetter, str]]) -> None:
        self.failures = failures
        letter, why = failures[0]
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        super().__init__(f"still a dead letter: {letter.event_type} for {letter.consumer}{more}: {why}")


def dead_letters(stack: Stack) -> list[DeadLetter]:
    """All that the two queues hold. Nothing is taken out: afterwards each message is visible again."""
    with _look(stack) as look:
        return list(look.letters())


def redrive(stack: Stack, letters: Collection[DeadLetter] | None = None) -> Generator[DeadLetter, None, None]:
    """Deliver these dead letters, or else all that there are, to the consumer that failed; yields what was delivered.

    Each is deleted once it is delivered.

    The event reaches that one consumer only, under its own id: nothing is logged or done twice. A crash between the two
    delivers it again, which every consumer bears. What can't be delivered keeps nothing else back: it stays in its
    queue, and at the end Undelivered says why.
    """
    failures, chosen = [], _ids(letters)
    with _look(stack) as look:
        for letter in look.letters():
            if chosen is not None and (letter.queue_url, letter.message_id) not in chosen:
                continue
            try:
                stack.deliver(letter.target, letter.payload)
                look.delete(letter)
            except (ClientError, ParamValidationError, ValueError) as error:
                if _is_about_us(error):
                    raise
                failures.append((letter, str(error) if letter.target else "it does not say where it failed"))
            else:
                yield letter
    if failures:
        raise Undelivered(failures)


def purge(stack: Stack, letters: Collection[DeadLetter] | None = None) -> int:
    """Delete these dead letters, or else all that there are, and return how many were deleted."""
    chosen, count = _ids(letters), 0
    with _look(stack) as look:
        for letter in look.letters():
            if chosen is None or (letter.queue_url, letter.message_id) in chosen:
                look.delete(letter)
                count += 1
            if chosen is not None and count == len(chosen):
                break
    return count


def _ids(letters: Collection[DeadLetter] | None) -> set[tuple[str, str]] | None:
    return None if letters is None else {(letter.queue_url, letter.message_id) for letter in letters}


@contextmanager
def _look(stack: Stack) -> Iterator["_Look"]:
    """At both queues. However it ends, what was not deleted is visible again."""
    look = _Look(stack)
    try:
        yield look
    finally:
        look.release()


class _Look:
    """Sees each message once, by its id, and holds it, so that it does not come again.

    A look may take longer than the hold. Then a message comes again, with a new receipt, which is the one to delete
    or release it by; and the hold is doubled, so that the next round gets further than the last. Messages that come in
    while we look are left for the next time: a redriven event may fail again at once, and would have no end.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._sqs = stack.client("sqs")
        self._started = time.time() * 1000
        self._receipts: dict[tuple[str, str], str] = {}
        """The last one of each message that we hold, by queue and message id."""

    def letters(self) -> Iterator[DeadLetter]:
        for output in topology.dead_letter_outputs():
            yield from self._letters_of(self._stack.outputs[output])

    def _letters_of(self, queue_url: str) -> Iterator[DeadLetter]:
        """Until the queue gives nothing more, or for long nothing that is to be shown: others may fill it for ever."""
        seen: set[str] = set()
        shown = fruitless = 0
        hold = _VISIBILITY_TIMEOUT_SECONDS
        while fruitless <= shown + _FRUITLESS_MESSAGES and (messages := self._receive(queue_url, hold)):
            new = [message for message in messages if message["MessageId"] not in seen]
            if len(new) < len(messages) and not fruitless:
                hold = min(2 * hold, _LONGEST_VISIBILITY_TIMEOUT_SECONDS)
            seen |= {message["MessageId"] for message in messages}
            waited = [message for message in new if int(message["Attributes"]["SentTimestamp"]) <= self._started]
            shown += len(waited)
            fruitless = 0 if waited else fruitless + len(messages)
            for message in waited:
                yield _letter(self._stack, queue_url, message)

    def _receive(self, queue_url: str, hold: int) -> list[Mapping[str, Any]]:
        messages: list[Mapping[str, Any]] = self._sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=hold,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp"],
            WaitTimeSeconds=1,  # all of the queue's servers are asked, not only some
        ).get("Messages", [])
        for message in messages:
            self._receipts[queue_url, message["MessageId"]] = message["ReceiptHandle"]
        return messages

    def delete(self, letter: DeadLetter) -> None:
        receipt = self._receipts[letter.queue_url, letter.message_id]
        self._sqs.delete_message(QueueUrl=letter.queue_url, ReceiptHandle=receipt)
        del self._receipts[letter.queue_url, letter.message_id]

    def release(self) -> None:
        """Let others see what we still hold."""
        for (queue_url, _), receipt in self._receipts.items():
            try:
                self._sqs.change_message_visibility(QueueUrl=queue_url, ReceiptHandle=receipt, VisibilityTimeout=0)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _NO_LONGER_HELD:  # then others see it, or it is gone
                    raise


def _is_about_us(error: Exception) -> bool:
    """Whether every other message would meet the same."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in _LOGIN_REFUSED


def _letter(stack: Stack, queue_url: str, message: Mapping[str, Any]) -> DeadLetter:
    body, message_id = message["Body"], message["MessageId"]
    content = _object(_parsed(body))
    if queue_url == stack.outputs["NotificationDeadLetterQueueUrl"]:
        reason = "see the log of the notification function"
        return DeadLetter(queue_url, message_id, content, stack.outputs["NotificationQueueUrl"], reason, body)
    if "requestPayload" in content:
        payload, context = content["requestPayload"], _object(content.get("requestContext"))
        target = _arn(context.get("functionArn")).removesuffix(":$LATEST")
        reason = _failure(content.get("responsePayload")) or str(context.get("condition") or "not known")
        return DeadLetter(queue_url, message_id, _object(payload), target, reason, json.dumps(payload))
    attributes = {name: value.get("StringValue") for name, value in message.get("MessageAttributes", {}).items()}
    target, reason = _arn(attributes.get("TARGET_ARN")), attributes.get("ERROR_MESSAGE") or "not known"
    return DeadLetter(queue_url, message_id, content, target, reason, body)


def _arn(value: Any) -> str:
    return value if isinstance(value, str) and value.startswith("arn:") else ""


def _failure(response: Any) -> str:
    """What a function's response says of its failure."""
    told = response.get("errorMessage") if isinstance(response, dict) else response
    return "" if told is None else told if isinstance(told, str) else json.dumps(told)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
