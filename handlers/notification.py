"""Notification: PaymentFailedEvent | FulfillmentCompletedEvent | OrderCancelledEvent ─▶ e-mail and text message

The events come through SNS and SQS.
"""

import json
from collections.abc import Sequence
from traceback import format_tb
from typing import Any, TypedDict

from handlers.edge import Context, consumer
from handlers.wiring import claim_stale_after, notifier, store
from orders.choreography import notify_customer
from orders.events import FinalEvent
from orders.observability import logger


class Record(TypedDict):
    """One message from the queue."""

    messageId: str
    body: str


class Batch(TypedDict):
    """What SQS delivers, as far as the function needs it."""

    Records: Sequence[Record]


class Failure(TypedDict):
    """A message that SQS is to deliver again."""

    itemIdentifier: str


class PartialBatchResponse(TypedDict):
    """SQS deletes the messages of the batch that are not among the failures."""

    batchItemFailures: list[Failure]


def handler(batch: Batch, context: Context) -> PartialBatchResponse:
    """Notify each message's customer. SQS delivers the failed messages again, and finally moves them to the DLQ."""
    notifier().reconnect()
    records = batch["Records"]
    failed = [each["messageId"] for position, each in enumerate(records) if not _is_notified(each, position, context)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_notified(record: Record, position: int, context: Context) -> bool:
    owner = f"{context.aws_request_id}/{position}"  # one for each attempt, even of messages about the same event

    @consumer
    def notify(event: FinalEvent) -> None:
        notify_customer(event, store(), notifier(), owner=owner, stale_after=claim_stale_after())

    try:
        notify(_envelope(record["body"]), context)
    except Exception as error:  # noqa: BLE001 # logged by the consumer; one message must not fail the batch
        stack = format_tb(error.__traceback__)  # as Lambda has it in its record of a failed invocation
        logger.warning("SQS will deliver the message again", messageId=record["messageId"], stackTrace=stack)
        return False
    return True


def _envelope(body: str) -> Any:
    """Raw delivery: the body is the EventBridge envelope. The consumer refuses and logs a body that isn't JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body
