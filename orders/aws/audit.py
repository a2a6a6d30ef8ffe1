"""The AuditLog table: `ports.AuditLog` on DynamoDB."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from orders import clock
from orders.aws.dynamodb import PARTITION_KEY_MAX_BYTES, from_item, is_key, is_whole_number, names_in, to_item
from orders.errors import MalformedEvent
from orders.ports import AuditEntry

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_REQUIRED = ("eventId", "timestamp", "eventType", "source")


class AuditLogTable:
    """Write-once: each put has a condition, and no function's role may update or delete."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def add(self, entry: AuditEntry) -> bool:
        """Store the detail as a map, or as JSON text when DynamoDB can't hold that map (38 digits, 32 levels, …)."""
        row, detail = _row(entry), entry.detail
        try:
            as_utf8 = json.dumps(detail, ensure_ascii=False).encode()
            return self._put({**row, "detail": json.loads(as_utf8, parse_float=Decimal)})
        # The serializer refuses infinities, numbers of over 38 digits, lone surrogates and hundreds of levels.
        except (TypeError, ArithmeticError, UnicodeEncodeError, RecursionError):
            return self._put({**row, "detail": json.dumps(detail)})
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"ValidationException", "SerializationException"}:
                raise
            return self._put({**row, "detail": json.dumps(detail)})

    def _put(self, row: Mapping[str, Any]) -> bool:
        try:
            self._dynamodb.put_item(
                TableName=self._table, Item=to_item(row), ConditionExpression="attribute_not_exists(eventId)"
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def trail(self, order_id: str) -> list[dict[str, Any]]:
        """The index `byOrder`, all of its pages: an order has few events."""
        condition = "#orderId = :order"
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="byOrder",
            KeyConditionExpression=condition,
            ExpressionAttributeNames=names_in(condition),
            ExpressionAttributeValues=to_item({":order": order_id}),
        )
        entries = [from_item(item) for page in pages for item in page["Items"]]
        return sorted(entries, key=_place_in_the_trail)


def _row(entry: AuditEntry) -> dict[str, Any]:
    """The entry's fields that can be a key or a number, without its detail, and the time when it was logged.

    Raises MalformedEvent when a required field is left out.
    """
    values = {
        "eventId": entry.event_id,
        "timestamp": entry.timestamp,
        "eventType": entry.event_type,
        "source": entry.source,
        "orderId": entry.order_id,
        "domainEventId": entry.domain_event_id,
        "correlationId": entry.correlation_id,
        "causationId": entry.causation_id,
        "attempt": entry.attempt,
        "loggedAt": clock.timestamp(clock.now()),
    }
    row = {
        name: value
        for name, value in values.items()
        if is_key(value, PARTITION_KEY_MAX_BYTES) or is_whole_number(value)
    }
    for name in _REQUIRED:
        if name not in row:
            raise MalformedEvent(f"{name} can't be stored: it must be text of 1 to {PARTITION_KEY_MAX_BYTES} bytes")
    return row


def _place_in_the_trail(row: Mapping[str, Any]) -> tuple[str, int]:
    """A timestamp is text, being a key of the index. An attempt can be anything in a row that somebody else wrote."""
    attempt = row.get("attempt")
    return row["timestamp"], attempt if type(attempt) is int else 0
