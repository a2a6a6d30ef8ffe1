"""The AuditLog table: every event that passed on the bus, once, never changed."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from orders.aws.dynamodb import from_item, names_in, to_item


class AuditLog:
    """Write-once: a conditional put in the code, and no role that may update or delete."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def add(self, entry: Mapping[str, Any], detail: object) -> bool:
        """Keep the entry, with `eventId` and `timestamp` in it, and the detail; False where it was kept before.

        The detail is stored as a map; as JSON text where DynamoDB can't hold it as one (38 digits, 32 levels, …).
        """
        try:
            as_utf8 = json.dumps(detail, ensure_ascii=False).encode()
            return self._put({**entry, "detail": json.loads(as_utf8, parse_float=Decimal)})
        # What the serializer refuses: infinities, numbers of over 38 digits, half characters, hundreds of levels.
        except (TypeError, ArithmeticError, UnicodeEncodeError, RecursionError):
            return self._put({**entry, "detail": json.dumps(detail)})
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"ValidationException", "SerializationException"}:
                raise
            return self._put({**entry, "detail": json.dumps(detail)})

    def _put(self, entry: Mapping[str, Any]) -> bool:
        try:
            self._dynamodb.put_item(
                TableName=self._table, Item=to_item(entry), ConditionExpression="attribute_not_exists(eventId)"
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def trail(self, order_id: str) -> list[dict[str, Any]]:
        """The entries of one order, oldest first; publications of the same fact in the order of their attempts."""
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


def _place_in_the_trail(entry: Mapping[str, Any]) -> tuple[str, int]:
    """The index has texts for timestamps only; an attempt may be anything in an entry that somebody else wrote."""
    attempt = entry.get("attempt")
    return entry["timestamp"], attempt if type(attempt) is int else 0
