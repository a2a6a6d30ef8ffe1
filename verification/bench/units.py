"""DynamoDB's read and write units, by AWS's rules and the items' sizes; the embedded AWS's own figures are not used.

Sizes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
Units: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
Indexes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from math import ceil
from typing import Any, NamedTuple

from tools import topology

StoredItem = Mapping[str, Mapping[str, Any]]
Key = tuple[str, ...]

WRITE_UNIT = 1024
READ_UNIT = 4096
OVERHEAD = 100
"""Bytes that DynamoDB bills to store each item, and each entry of an index, beside its size."""


class Units(NamedTuple):
    """What DynamoDB bills for a call: of the table, and of its indexes."""

    reads: float = 0
    writes: int = 0
    index_writes: int = 0


class Stored(NamedTuple):
    """Bytes in the tables and in their indexes."""

    tables: int = 0
    indexes: int = 0


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


class _Index(NamedTuple):
    keys: tuple[str, ...]
    attributes: tuple[str, ...] | None
    """None: all of them."""

    def entry(self, item: StoredItem | None) -> StoredItem | None:
        """What the index has of an item, if anything."""
        if item is None or not all(name in item for name in self.keys):
            return None
        if self.attributes is None:
            return item
        return {name: item[name] for name in self.attributes if name in item}


class _Table(NamedTuple):
    name: str
    keys: tuple[str, ...]
    indexes: Sequence[_Index]


class Meter:
    """Says what each call costs; it gets the functions' calls in their order, and knows the items from them."""

    def __init__(self, orders_table: str, audit_log_table: str) -> None:
        declared = topology.of_type("AWS::DynamoDB::Table")
        self._tables = {
            orders_table: _table("Orders", declared["OrdersTable"]),
            audit_log_table: _table("AuditLog", declared["AuditLogTable"]),
        }
        self._items: dict[tuple[str, Key], StoredItem] = {}
        self.largest: dict[str, int] = {}
        """By table, the size of the largest item written since this was last cleared, in bytes."""

    @property
    def stored(self) -> Stored:
        """The bytes of all items that were written, as DynamoDB bills their storage."""
        entries = [
            entry
            for (table, _), item in self._items.items()
            for index in self._tables[table].indexes
            if (entry := index.entry(item))
        ]
        return Stored(*(sum(size(each) + OVERHEAD for each in kept) for kept in (self._items.values(), entries)))

    def units(self, action: str, request: Mapping[str, Any], status: int, answer: Mapping[str, Any]) -> Units:
        match action:
            case "dynamodb:PutItem" | "dynamodb:UpdateItem":
                return self._written(request, answer, done=status == 200)
            case "dynamodb:GetItem":
                return Units(reads=_reads([answer["Item"]] if "Item" in answer else [], request))
            case "dynamodb:Query":
                if request.get("Select") == "COUNT" and answer["Count"]:
                    raise ValueError("what is counted and not answered has no size here")
                return Units(reads=_reads(answer.get("Items", []), request))
            case "dynamodb:BatchGetItem":
                [(table, asked)] = request["RequestItems"].items()
                return Units(reads=sum(_reads([item], asked) for item in answer["Responses"][table]))
            case _:
                return Units()

    def _written(self, request: Mapping[str, Any], answer: Mapping[str, Any], *, done: bool) -> Units:
        table = self._tables[request["TableName"]]
        keyed = request.get("Item") or request["Key"]
        place = request["TableName"], tuple(keyed[key]["S"] for key in table.keys)
        before: StoredItem | None = self._items.get(place)
        if not done:  # a condition that does not hold costs what the item that is there would
            return Units(writes=_writes(answer.get("Item") or before))
        after: StoredItem = request.get("Item") or answer["Attributes"]
        self._items[place] = after
        self.largest[table.name] = max(self.largest.get(table.name, 0), size(after))
        indexed = sum(_reindexed(index.entry(before), index.entry(after), index.keys) for index in table.indexes)
        return Units(writes=_writes(before, after), index_writes=indexed)


def _reindexed(before: StoredItem | None, after: StoredItem | None, keys: Sequence[str]) -> int:
    if before == after:
        return 0
    if before and after and any(before[key] != after[key] for key in keys):
        return _writes(before) + _writes(after)  # the old entry goes, a new one comes
    return _writes(before, after)


def _writes(*items: StoredItem | None) -> int:
    """Before and after: the larger one counts."""
    return max(1, *(ceil(size(item) / WRITE_UNIT) for item in items if item), 1)


def _reads(items: Sequence[StoredItem], request: Mapping[str, Any]) -> float:
    blocks = max(1, ceil(sum(map(size, items)) / READ_UNIT))
    return blocks if request.get("ConsistentRead") else blocks / 2


def _table(name: str, properties: Mapping[str, Any]) -> _Table:
    keys = tuple(_names(properties))
    return _Table(name, keys, [_index(index, keys) for index in properties["GlobalSecondaryIndexes"]])


def _index(index: Mapping[str, Any], table_keys: tuple[str, ...]) -> _Index:
    keys = tuple(_names(index))
    everything = index["Projection"]["ProjectionType"] == "ALL"
    return _Index(keys, None if everything else (*table_keys, *keys))


def _names(keyed: Mapping[str, Any]) -> Iterator[str]:
    return (str(each["AttributeName"]) for each in keyed["KeySchema"])
