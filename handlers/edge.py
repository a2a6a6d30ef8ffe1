"""What every function that consumes events does around its step: decode, log with the order's ids, never swallow."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

from orders.errors import MalformedEvent
from orders.events import Event, decode
from orders.observability import logger

Handler = Callable[[Mapping[str, Any], Any], None]


def consumes(*accepted: type[Event]) -> Callable[[Callable[[Any], None]], Handler]:
    """Make a Lambda handler for an EventBridge target of a function that takes one event.

    An exception is logged with its reason and raised again: Lambda retries twice, then its on-failure destination, the
    dead-letter queue, keeps the event.
    """

    def decorate(function: Callable[[Any], None]) -> Handler:
        @wraps(function)
        def handler(envelope: Mapping[str, Any], context: Any) -> None:
            with logged(envelope, context):
                function(expect(envelope, *accepted))

        return handler

    return decorate


def expect(envelope: Mapping[str, Any], *accepted: type[Event]) -> Any:
    """The event in an envelope, an instance of an accepted class. Raises MalformedEvent where it is none."""
    event = decode(envelope)
    if not isinstance(event, accepted):
        names = " or ".join(each.detail_type() for each in accepted)
        raise MalformedEvent(f"{event.detail_type()} arrived where {names} is expected")
    return event


@contextmanager
def logged(envelope: Mapping[str, Any], context: Any) -> Iterator[None]:
    """Put the event's ids on every log line inside, and log the reason of an exception on its way out."""
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
                raise MalformedEvent("what came is no object, and so no event of EventBridge's")
            yield
        except Exception as error:
            logger.exception("%s: %s", type(error).__name__, error)
            raise


def _member(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
