"""DynamoDB's typed JSON to plain Python and back, and the answer that its conditional writes give."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeGuard, cast

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()

LONGEST_PARTITION_KEY = 2048  # bytes
LONGEST_SORT_KEY = 1024  # bytes

Item = dict[str, dict[str, Any]]
"""An item as the client takes it: `{"orderId": {"S": "…"}, "totalAmount": {"N": "1890"}}`."""


def to_item(values: Mapping[str, Any]) -> Item:
    """Raises TypeError for what DynamoDB can't hold, floats among it."""
    return cast(Item, {name: _SERIALIZER.serialize(value) for name, value in values.items()})


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values: whole numbers are int, others float."""
    return {name: _plain(_DESERIALIZER.deserialize(value)) for name, value in item.items()}


def names_in(*expressions: str) -> dict[str, str]:
    """Every `#name` of the expressions stands for the attribute `name`: none can clash with a reserved word."""
    return {found: found[1:] for expression in expressions for found in re.findall(r"#\w+", expression)}


def is_key(value: object, longest: int) -> TypeGuard[str]:
    """Whether a value can be a key of type text: Unicode, not empty, and of so many bytes at most."""
    if not isinstance(value, str):
        return False
    encoded = value.encode(errors="replace")
    return 0 < len(encoded) <= longest and encoded.decode() == value


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value
