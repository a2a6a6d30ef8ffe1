"""The two dead-letter queues: their messages, the reasons, and how to redrive them.

`DeadLetterQueue` holds failed invocations (Lambda's on-failure records) and undeliverable events (the event, with
EventBridge's reason in message attributes). `NotificationDeadLetterQueue` holds the notifications that failed (the
event alone: SQS keeps no reason, the function's log does).

Any event can end there: the readable parts of a message are shown, and the message stays as it is.

After an outage there may be ten thousand. So both queues are read in rounds, and within a round several threads
receive, deliver and delete.
"""

import json
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError, ParamValidationError

from operations.errors import OperatorError
from operations.stack import Stack
from operations.targets import Targets
from orders.aws import backoff
from tools import topology

_THREADS = 16
"""How many calls are under way at once, and how many receives of each queue a round has at most."""

_BATCH = 10
"""How many messages SQS returns, deletes or releases in one call."""

_VISIBILITY_TIMEOUT_SECONDS = 60
"""How long a received message is hidden from other consumers, at first; see `_Look`."""

_LONGEST_VISIBILITY_TIMEOUT_SECONDS = 3600
_FRUITLESS_MESSAGES = 100
_NO_LONGER_HELD = {"ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"}
_LOGIN_REFUSED = {
    *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "UnrecognizedClientException"),
    *("InvalidSignatureException", "SignatureDoesNotMatch", "MissingAuthenticationToken"),
}

_Key = tuple[str, str]
"""A message's queue and id."""
_Message = Mapping[str, Any]
"""A message as SQS returns it."""
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class DeadLetter(NamedTuple):
    """One message of a dead-letter queue."""

    queue_url: str
    message_id: str
    event: Mapping[str, Any]
    """EventBridge's envelope; empty if the message holds none."""
    target: str
    """ARN or URL to which a redrive delivers the payload; empty if the message does not say."""
    reason: str
    payload: str
    """The failed payload, as the target got it."""

    @property
    def key(self) -> _Key:
        """Its queue and its id, which identify it however often it is received."""
        return self.queue_url, self.message_id

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
    """A redrive left these dead letters in their queue, each with the reason; all others were delivered."""

    def __init__(self, failures: list[tuple[DeadLetter, str]]) -> None:
        self.failures = failures
        letter, why = failures[0]
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        super().__init__(f"still a dead letter: {letter.event_type} for {letter.consumer}{more}: {why}")


class Undeleted(OperatorError):
    """SQS refused to delete these dead letters, each with the reason; `deleted` others are gone."""

    def __init__(self, deleted: int, failures: list[tuple[DeadLetter, str]]) -> None:
        self.deleted = deleted
        super().__init__(f"{len(failures)} could not be deleted, and stay: {failures[0][1]}")


def dead_letters(stack: Stack, progress: Callable[[int], object] = lambda _: None) -> list[DeadLetter]:
    """All dead letters of the two queues. None is removed: afterwards each message is visible again.

    `progress` is called with how many were found so far.
    """
    letters: list[DeadLetter] = []
    with _look(stack) as look:
        for found in look.rounds():
            letters += found
            progress(len(letters))
    return letters


def redrive(stack: Stack, letters: Collection[DeadLetter] | None = None) -> Generator[DeadLetter, None, None]:
    """Deliver these dead letters, or else all of them, to the consumer that failed; yields each delivered one.

    Each is deleted once it is delivered.

    The event reaches that one consumer only, under its own id: nothing is logged or done twice. A crash between the two
    delivers it again, and every consumer is idempotent. One that can't be delivered does not hold up the others: it
    stays in its queue, and at the end Undelivered says why.
    """
    failures: list[tuple[DeadLetter, str]] = []
    with _look(stack, letters) as look:
        targets = Targets(stack, connections=_THREADS)

        def deliver(letter: DeadLetter) -> str:
            """Why the dead letter can't be delivered; empty if it was."""
            try:
                targets.deliver(letter.target, letter.payload)
                look.is_done(letter)
            except (ClientError, ParamValidationError, ValueError) as error:
                if _is_about_us(error):
                    raise
                return str(error) if letter.target else "it does not say where it failed"
            return ""

        for found in look.rounds():
            reasons = _at_once(deliver, found)
            look.delete_done()
            for letter, why in zip(found, reasons, strict=True):
                if why:
                    failures.append((letter, why))
                else:
                    yield letter
    failures += [(letter, f"it was delivered, but can't be deleted: {why}") for letter, why in look.refused()]
    if failures:
        raise Undelivered(failures)


def purge(
    stack: Stack,
    letters: Collection[DeadLetter] | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> int:
    """Delete these dead letters, or else all of them, and return how many were deleted. Raises Undeleted.

    `progress` is called with how many were deleted so far.
    """
    with _look(stack, letters) as look:
        for found in look.rounds():
            for letter in found:
                look.is_done(letter)
            look.delete_done()
            progress(look.deleted)
    if failures := look.refused():
        raise Undeleted(look.deleted, failures)
    return look.deleted


def _at_once(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Return the function's results. If one raises, or at Ctrl-C, the calls under way end and no other begins."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, items))


@contextmanager
def _look(stack: Stack, letters: Collection[DeadLetter] | None = None) -> Iterator["_Look"]:
    """Read both queues, for these dead letters or for all. However it ends, undeleted messages are visible again.

    If the process is killed, or can't reach SQS any more, that happens when the visibility timeout ends.
    """
    look = _Look(stack, None if letters is None else {letter.key for letter in letters})
    try:
        yield look
    finally:
        try:
            look.delete_done()
        finally:
            look.release()


class _Look:
    """Returns each message once, by its id, and hides it by the visibility timeout, so that it does not come again.

    Reading may take longer than that timeout. Then a message comes again, with a new receipt handle, which deletes or
    releases it from then on; and the timeout is doubled, so that the next round gets further than the last. Messages
    that arrive meanwhile are left for the next time: a redriven event may fail again at once, and this would never end.
    """

    def __init__(self, stack: Stack, wanted: Collection[_Key] | None) -> None:
        self.deleted = 0
        self._stack = stack
        self._sqs = stack.client("sqs", connections=_THREADS)
        self._wanted = wanted
        started = time.time() * 1000
        self._queues = [_Queue(stack.outputs[output], started) for output in topology.dead_letter_outputs()]
        self._receipts: dict[_Key, str] = {}
        """The last receipt handle of each message that we hide."""
        self._done: dict[_Key, DeadLetter] = {}
        """The messages to delete."""
        self._refused: dict[_Key, tuple[DeadLetter, Mapping[str, Any]]] = {}
        """The messages that SQS refused to delete, with its error."""

    def rounds(self) -> Iterator[list[DeadLetter]]:
        """Yield the new dead letters of each round, until the queues are empty or all wanted ones were found."""
        missing = None if self._wanted is None else set(self._wanted)
        while (missing != set() or self._refused) and (queues := [each for each in self._queues if not each.is_over]):
            receives = [queue for queue in queues for _ in range(queue.width)]
            batches = list(zip(receives, _at_once(self._receive, receives), strict=True))
            self.delete_done()  # messages that could not be deleted, and came again
            found = [
                _letter(self._stack, queue.url, message)
                for queue in queues
                for message in queue.take([batch for received, batch in batches if received is queue])
            ]
            if missing is not None:
                found = [letter for letter in found if letter.key in missing]
                missing -= {letter.key for letter in found}
            if found:
                yield found

    def _receive(self, queue: "_Queue") -> Sequence[_Message]:
        messages: list[_Message] = self._sqs.receive_message(
            QueueUrl=queue.url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=queue.hold,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp"],
            WaitTimeSeconds=1,  # all of the queue's servers are asked, not only some
        ).get("Messages", [])
        for message in messages:
            key = queue.url, message["MessageId"]
            self._receipts[key] = message["ReceiptHandle"]
            if key in self._refused:
                self._done[key] = self._refused.pop(key)[0]
        return messages

    def is_done(self, letter: DeadLetter) -> None:
        """Mark a dead letter for the next `delete_done`. Any thread may call this."""
        self._done[letter.key] = letter

    def delete_done(self) -> None:
        """Delete the dead letters that are done."""
        done = dict(self._done)
        refused = self._each(self._sqs.delete_message_batch, done)
        for key, letter in done.items():
            del self._done[key]
            if key in refused:
                self._refused[key] = letter, refused[key]
            else:
                del self._receipts[key]
        self.deleted += len(done) - len(refused)

    def refused(self) -> list[tuple[DeadLetter, str]]:
        """The messages that SQS did not delete, and why. One that we no longer hide is gone or somebody else's."""
        return [
            (letter, f"{error['Code']}, {error.get('Message', '')}")
            for letter, error in self._refused.values()
            if error["Code"] not in _NO_LONGER_HELD
        ]

    def release(self) -> None:
        """Make the messages that we still hide visible. If SQS refuses, the visibility timeout does that."""
        self._each(self._sqs.change_message_visibility_batch, self._receipts, VisibilityTimeout=0)

    def _each(
        self, call: Callable[..., Mapping[str, Any]], keys: Iterable[_Key], **options: Any
    ) -> dict[_Key, Mapping[str, Any]]:
        """Call SQS for each message, by its receipt and in batches; return the error of each that it refused."""
        by_queue: dict[str, list[_Key]] = {}
        for key in list(keys):
            by_queue.setdefault(key[0], []).append(key)
        batches = [each[at : at + _BATCH] for each in by_queue.values() for at in range(0, len(each), _BATCH)]
        errors: dict[_Key, Mapping[str, Any]] = {}
        for refused in _at_once(lambda batch: self._batch(call, batch, options), batches):
            errors |= refused
        return errors

    def _batch(
        self, call: Callable[..., Mapping[str, Any]], keys: Sequence[_Key], options: Mapping[str, Any]
    ) -> dict[_Key, Mapping[str, Any]]:
        """The errors of one batch. An entry that fails in a call that succeeds is retried here: the SDK does not."""
        queue_url = keys[0][0]
        final: dict[_Key, Mapping[str, Any]] = {}
        for attempt in range(1, backoff.ATTEMPTS + 1):
            entries = [
                {"Id": str(number), "ReceiptHandle": self._receipts[key], **options} for number, key in enumerate(keys)
            ]
            failed = call(QueueUrl=queue_url, Entries=entries).get("Failed", [])
            errors = {keys[int(error["Id"])]: error for error in failed}
            final |= {key: error for key, error in errors.items() if error["SenderFault"]}
            keys = [key for key in errors if key not in final]
            if not keys:
                return final
            backoff.pause(attempt)
        return final | errors


class _Queue:
    """The messages that were read from one queue."""

    def __init__(self, url: str, started: float) -> None:
        self.url = url
        self.hold = _VISIBILITY_TIMEOUT_SECONDS
        self.width = 1
        """How many receives the next round has."""
        self.is_over = False
        """Whether a receive was empty, or many had nothing new: others may keep filling the queue for ever."""
        self._started = started
        self._seen: set[str] = set()
        self._shown = self._fruitless = 0

    def take(self, batches: Sequence[Sequence[_Message]]) -> list[_Message]:
        """Return the messages of a round that are new and were in the queue when reading began."""
        messages = [message for batch in batches for message in batch]
        new = {message["MessageId"]: message for message in messages if message["MessageId"] not in self._seen}
        if len(new) < len(messages) and not self._fruitless:
            self.hold = min(2 * self.hold, _LONGEST_VISIBILITY_TIMEOUT_SECONDS)
        self._seen |= new.keys()
        waited = [each for each in new.values() if int(each["Attributes"]["SentTimestamp"]) <= self._started]
        self._shown += len(waited)
        self._fruitless = 0 if waited else self._fruitless + len(messages)
        self.is_over = not all(batches) or self._fruitless > self._shown + _FRUITLESS_MESSAGES
        is_plenty = 2 * len(messages) >= _BATCH * self.width
        self.width = min(2 * self.width, _THREADS) if is_plenty else max(1, self.width // 2)
        return waited


def _is_about_us(error: Exception) -> bool:
    """Whether every other message would fail in the same way."""
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
    """The failure in a function's response."""
    reason = response.get("errorMessage") if isinstance(response, dict) else response
    return "" if reason is None else reason if isinstance(reason, str) else json.dumps(reason)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
