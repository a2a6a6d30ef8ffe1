"""The event bus: EventBridge's PutEvents, which can fail for an entry although the call succeeds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from orders.aws import backoff
from orders.errors import PublishFailed
from orders.events import Event

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient
    from types_boto3_events.type_defs import PutEventsRequestEntryTypeDef


MOST_EVENTS = 10
"""How many events one call of PutEvents accepts."""


class EventBus:
    """Publishes events. The SDK retries a call that fails, this class an entry that fails."""

    def __init__(self, events: "EventBridgeClient", name: str) -> None:
        self._events = events
        self._name = name

    def publish(self, event: Event) -> str:
        """Publish the event and return EventBridge's id of the publication. Raises PublishFailed."""
        [result] = self.publish_all([event])
        if isinstance(result, PublishFailed):
            raise result
        return result

    def publish_all(self, events: Sequence[Event]) -> list[str | PublishFailed]:
        """Publish 1 to `MOST_EVENTS` events in one call. Return the id of each publication, or why it failed."""
        results: dict[int, str | PublishFailed] = {}
        waiting = dict(enumerate(events))
        for attempt in range(1, backoff.ATTEMPTS + 1):
            try:
                response = self._events.put_events(Entries=[self._entry(event) for event in waiting.values()])
            except (BotoCoreError, ClientError) as error:
                results |= {number: _failure(event, str(error), error) for number, event in waiting.items()}
                break
            for (number, event), entry in zip(list(waiting.items()), response["Entries"], strict=True):
                if "EventId" in entry:
                    results[number] = entry["EventId"]
                    del waiting[number]
                else:
                    results[number] = _failure(event, f"{entry['ErrorCode']}: {entry.get('ErrorMessage')}")
            if not waiting:
                break
            backoff.pause(attempt)
        return [results[number] for number in range(len(events))]

    def _entry(self, event: Event) -> "PutEventsRequestEntryTypeDef":
        return {
            "EventBusName": self._name,
            "Source": event.source,
            "DetailType": event.detail_type(),
            "Detail": event.model_dump_json(by_alias=True),
        }


def _failure(event: Event, reason: str, cause: Exception | None = None) -> PublishFailed:
    failure = PublishFailed(f"{event.detail_type()} of order {event.order_id}: {reason}")
    failure.__cause__ = cause
    return failure
