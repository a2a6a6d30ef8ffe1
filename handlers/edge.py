"""The code around each step that consumes events: decode the event, log with its ids, raise every error."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Protocol, TypeVar, get_args, get_type_hints

from orders.errors import MalformedEvent
from orders.events import Event, decode
from orders.observability import logger

E = TypeVar("E", bound=Event)

Envelope = Mapping[str, object]
"""An event as EventBridge delivers it: its own fields, and ours in `detail`."""


class Context(Protocol):
    """The part of Lambda's context that the handlers use."""

    @property
    def aws_request_id(self) -> str:
        """The id of the invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """The milliseconds that are left until the function's time-out."""


def consumer(function: Callable[[E], None]) -> Callable[[Envelope, Context], None]:
    """Make a Lambda handler of a function of one event. It accepts the event classes in the function's annotation.

    An exception is logged and raised again: Lambda retries twice, then its on-failure destination, the dead-letter
    queue, keeps the event.
    """
    accepted = _accepted_by(function)

    @wraps(function)
    def handler(envelope: Envelope, context: Context) -> None:
        with logged(envelope, context):
            event = decode(envelope)
            if not isinstance(event, accepted):
                names = " or ".join(each.detail_type() for each in accepted)
                raise MalformedEvent(f"{event.detail_type()} was delivered to a consumer of {names}")
            function(event)

    return handler


def _accepted_by(function: Callable[[E], None]) -> tuple[type[E], ...]:
    """The annotation of the function's only parameter: one class, or the members of a union."""
    [annotation] = [hint for name, hint in get_type_hints(function).items() if name != "return"]
    return get_args(annotation) or (annotation,)


@contextmanager
def logged(envelope: Envelope, context: Context) -> Iterator[None]:
    """Put the event's ids on every log line inside, and log an exception before it propagates.

    That line has no traceback: Lambda logs one for each failed invocation, and Notification for each failed message.
    """
    detail = _member(envelope, "detail")
    ids = {
        "requestId": context.aws_request_id,
        "eventType": _member(envelope, "detail-type"),
        "eventId": _member(envelope, "id"),
        "orderId": _member(_member(detail, "data"), "orderId"),
        "correlationId": _member(_member(detail, "metadata"), "correlationId"),
    }
    with logger.append_context_keys(**ids):
        try:
            if not isinstance(envelope, dict):
                raise MalformedEvent(f"the payload is a {type(envelope).__name__}; EventBridge delivers a JSON object")
            yield
        except Exception as error:
            logger.error("%s: %s", type(error).__name__, error)  # with the ids; Lambda's record has none
            raise


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None
