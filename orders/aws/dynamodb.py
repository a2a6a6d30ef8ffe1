"""DynamoDB's typed JSON, from and to plain Python values, and its limits on keys and numbers."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeGuard, cast

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()

PARTITION_KEY_MAX_BYTES = 2048
SORT_KEY_MAX_BYTES = 1024
NUMBER_MAX_DIGITS = 38

Item = dict[str, dict[str, Any]]
"""An item as the client expects it: `{"orderId": {"S": "…"}, "totalAmount": {"N": "1890"}}`."""


def to_item(values: Mapping[str, Any]) -> Item:
    """Plain values as an item. Raises TypeError for what DynamoDB can't hold, such as a float."""
    return cast(Item, {name: _SERIALIZER.serialize(value) for name, value in values.items()})


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item's plain values: whole numbers as int, others as float."""
    return {name: _plain(_DESERIALIZER.deserialize(value)) for name, value in item.items()}


def names_in(*expressions: str) -> dict[str, str]:
    """`#name` → `name` for each of the expressions' placeholders, so that no attribute clashes with a reserved word."""
    return {found: found[1:] for expression in expressions for found in re.findall(r"#\w+", expression)}


def is_key(value: object, max_bytes: int) -> TypeGuard[str]:
    """Whether a value can be a key of type string: valid Unicode, not empty, at most `max_bytes` long in UTF-8."""
    if not isinstance(value, str):
        return False
    encoded = value.encode(errors="replace")
    return 0 < len(encoded) <= max_bytes and encoded.decode() == value


def is_whole_number(value: object) -> TypeGuard[int]:
    """Whether a value is an integer that DynamoDB can hold: 38 digits at most."""
    return type(value) is int and abs(value) < 10**NUMBER_MAX_DIGITS


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value
