"""Notification: PaymentFailedEvent | FulfillmentCompletedEvent, through SNS and SQS ─▶ e-mail and text message"""

import json
from collections.abc import Mapping
from typing import Any

from handlers.edge import expect, logged
from handlers.wiring import claim_stale_after, post, store
from orders.choreography import tell_customer
from orders.events import FulfillmentCompletedEvent, PaymentFailedEvent
from orders.observability import logger


def handler(batch: Mapping[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
    """Tell each customer of the batch; SQS delivers those that failed again, and at last puts them into the DLQ."""
    post().reconnect()
    failed = [record["messageId"] for record in batch["Records"] if not _is_told(record, context)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_told(record: Mapping[str, Any], context: Any) -> bool:
    try:
        envelope = json.loads(record["body"])  # raw delivery: the body is the EventBridge envelope
        with logged(envelope, context):
            tell_customer(
                expect(envelope, PaymentFailedEvent, FulfillmentCompletedEvent),
                store(),
                post(),
                owner=f"{context.aws_request_id}/{record['messageId']}",
                stale_after=claim_stale_after(),
            )
    except Exception as error:
        logger.warning("SQS will deliver the message again", messageId=record["messageId"], reason=str(error))
        return False
    return True
