"""The event bus: EventBridge's PutEvents, which can fail for an entry although the call succeeds."""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from orders.aws import backoff
from orders.errors import PublishFailed
from orders.events import Event

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient
    from types_boto3_events.type_defs import PutEventsRequestEntryTypeDef


class EventBus:
    """Publishes one event per call. The SDK retries a call that fails, this class an entry that fails."""

    def __init__(self, events: "EventBridgeClient", name: str) -> None:
        self._events = events
        self._name = name

    def publish(self, event: Event) -> str:
        """Publish the event and return EventBridge's id of the publication. Raises PublishFailed."""
        entry: PutEventsRequestEntryTypeDef = {
            "EventBusName": self._name,
            "Source": event.source,
            "DetailType": event.detail_type(),
            "Detail": event.model_dump_json(by_alias=True),
        }
        for attempt in range(1, backoff.ATTEMPTS + 1):
            try:
                response = self._events.put_events(Entries=[entry])
            except (BotoCoreError, ClientError) as error:
                raise PublishFailed(f"{event.detail_type()} of order {event.order_id}: {error}") from error
            [result] = response["Entries"]
            if response["FailedEntryCount"] == 0:
                return str(result["EventId"])
            backoff.pause(attempt)
        raise PublishFailed(
            f"{event.detail_type()} of order {event.order_id}: {result['ErrorCode']}: {result.get('ErrorMessage')}"
        )
