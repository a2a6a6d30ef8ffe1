"""The units that DynamoDB bills for a call, by AWS's rules and the items' sizes.

Sizes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
Units: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
Indexes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import ceil
from typing import Any, NamedTuple

StoredItem = Mapping[str, Mapping[str, Any]]
"""With typed values: `{"status": {"S": "PLACED"}}`."""
Declared = Mapping[str, Any]
"""A table or an index, as resources/tables.yml declares it."""

WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096
OVERHEAD_BYTES = 100
"""Stored for each item, and for each entry of an index, beside its size."""


class Usage(NamedTuple):
    """Units of the table and of its indexes, and by how much their storage grew, in bytes."""

    read_units: float = 0
    write_units: int = 0
    index_write_units: int = 0
    stored_bytes: int = 0
    stored_index_bytes: int = 0


def total(usages: Iterable[Usage]) -> Usage:
    return Usage(*map(sum, zip(Usage(), *usages, strict=True)))


def read(items: Sequence[StoredItem], *, consistent: bool) -> Usage:
    """Read these items together: a unit for each started 4 KB, half of that if an old state will do."""
    blocks = max(1, ceil(sum(map(size, items)) / READ_UNIT_BYTES))
    return Usage(read_units=blocks if consistent else blocks / 2)


def refused(item: StoredItem | None) -> Usage:
    """Write to an item that doesn't meet the condition: it costs as much as a successful write."""
    return Usage(write_units=_write_units(item))


def written(table: Declared, before: StoredItem | None, after: StoredItem | None) -> Usage:
    """Write an item, or delete it: then there is none after.

    An index is written when its entry comes, changes or goes; a changed key is two writes.
    """
    index_units = index_bytes = 0
    for index in table.get("GlobalSecondaryIndexes", []):
        old, new = _entry(table, index, before), _entry(table, index, after)
        index_bytes += _stored(new) - _stored(old)
        if old and new and any(old[key] != new[key] for key in _keys(index)):
            index_units += _write_units(old) + _write_units(new)
        elif old != new:
            index_units += _write_units(old, new)
    return Usage(0, _write_units(before, after), index_units, _stored(after) - _stored(before), index_bytes)


def size(item: StoredItem) -> int:
    """Bytes: the names in UTF-8, and the values."""
    return sum(len(name.encode()) + _value(value) for name, value in item.items())


def _value(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(str(content).encode())
        case "N":  # a byte for two digits, and one more; the sign is another
            digits = "".join(map(str, Decimal(content).normalize().as_tuple().digits))
            return ceil(len(digits) / 2) + 1 + str(content).startswith("-")
        case "BOOL" | "NULL":
            return 1
        case "M":
            return 3 + len(content) + size(content)
        case "L":
            return 3 + len(content) + sum(map(_value, content))
        case _:
            raise ValueError(f"no item of ours has a {kind}")


def _write_units(*items: StoredItem | None) -> int:
    """Of an item before and after a write, the larger one counts."""
    return max([1, *(ceil(size(item) / WRITE_UNIT_BYTES) for item in items if item)])


def _stored(item: StoredItem | None) -> int:
    return size(item) + OVERHEAD_BYTES if item else 0


def _entry(table: Declared, index: Declared, item: StoredItem | None) -> StoredItem | None:
    """The index's entry of an item, if it has one."""
    keys = _keys(index)
    if item is None or not all(key in item for key in keys):
        return None
    if index["Projection"]["ProjectionType"] == "ALL":
        return item
    return {name: item[name] for name in (*_keys(table), *keys)}


def _keys(declared: Declared) -> list[str]:
    return [each["AttributeName"] for each in declared["KeySchema"]]
