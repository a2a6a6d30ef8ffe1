"""DynamoDB's tables: conditional writes that take effect at one moment, strong reads, and indexes that lag behind."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from orders.aws.dynamodb import Item
from verification.expressions import Bound, InvalidExpression, check_bindings, holds, updated

Key = tuple[str, ...]
Wrote = Callable[[str, Item | None, Item], None]
"""Called after each write with the table, the item before and the item after."""


class ConditionalCheckFailedException(ClientError):
    """As the client raises it; `response["Item"]` is the item that did not meet the condition, if requested."""


class Write(NamedTuple):
    """A conditional write, as the code asked for it. A put has no update but an item; an update has a key."""

    table: str
    item: Item
    update: str
    condition: str
    bound: Bound


class QueryPage(NamedTuple):
    items: list[Item]
    last: Item | None
    """Where the next page starts, if there is one."""


class _Index(NamedTuple):
    partition: str
    sort: str
    attributes: tuple[str, ...] | None
    """None: all of them."""


class Table:
    """One table, of the shape that resources/ gives it."""

    def __init__(self, name: str, properties: Mapping[str, Any], now: Callable[[], float], wrote: Wrote) -> None:
        self.name = name
        self.items: dict[Key, Item] = {}
        self._now = now
        self._wrote = wrote
        self._types = {each["AttributeName"]: each["AttributeType"] for each in properties["AttributeDefinitions"]}
        self._keys = tuple(each["AttributeName"] for each in properties["KeySchema"])
        indexes = properties.get("GlobalSecondaryIndexes", [])
        self._indexes = {index["IndexName"]: self._index(index) for index in indexes}
        self._history: dict[Key, list[tuple[float, Item | None]]] = {}
        """When an item got its present state; None: deleted."""
        self._members: dict[tuple[str, str], dict[Key, None]] = defaultdict(dict)
        """The items that were ever listed under an index's partition key."""

    def _index(self, index: Mapping[str, Any]) -> _Index:
        partition, sort = (each["AttributeName"] for each in index["KeySchema"])
        everything = index["Projection"]["ProjectionType"] == "ALL"
        return _Index(partition, sort, None if everything else (*self._keys, partition, sort))

    # --- reading --------------------------------------------------------------------------------------------------

    def get(self, key: Item) -> Item | None:
        return self.items.get(self._key(key))

    def query(
        self,
        index_name: str,
        condition: str,
        bound: Bound,
        *,
        lag: Callable[[str], float],
        forward: bool = True,
        limit: int | None = None,
        start: Item | None = None,
    ) -> QueryPage:
        """The index's entries of one partition; each item is as it was `lag(name of the item)` seconds ago."""
        check_bindings(bound, condition)
        index = self._indexes[index_name]
        placeholder = re.findall(rf"#?{index.partition} = (:\w+)", condition)[0]
        [partition] = bound.values[placeholder].values()
        found = []
        for key in self._members[index_name, partition]:
            item = self._as_of(key, self._now() - lag(key[0]))
            if item and index.partition in item and index.sort in item and holds(condition, item, bound):
                found.append((item[index.sort]["S"], key, item))
        found.sort(key=lambda each: each[:2], reverse=not forward)
        if start:
            after = (start[index.sort]["S"], self._key(start))
            found = [each for each in found if (each[:2] > after if forward else each[:2] < after)]
        names = index.attributes
        items = [
            item if names is None else {name: item[name] for name in names if name in item} for _, _, item in found
        ]
        if limit is None or len(items) <= limit:
            return QueryPage(items, None)
        last = items[limit - 1]
        return QueryPage(items[:limit], {name: last[name] for name in (*self._keys, index.partition, index.sort)})

    def _as_of(self, key: Key, moment: float) -> Item | None:
        for at, item in reversed(self._history[key]):
            if at <= moment:
                return item
        return None

    # --- writing --------------------------------------------------------------------------------------------------

    def put(self, item: Item, condition: str, bound: Bound, *, return_old: bool) -> None:
        """Store an item. Raises ConditionalCheckFailedException, and ClientError if DynamoDB finds it invalid."""
        key = self._key(item)
        self._check(key, condition, bound, return_old=return_old)
        self._write(key, item)

    def delete(self, key: Item, condition: str, bound: Bound, *, return_old: bool) -> Item | None:
        """The item that was deleted, if there was one. Raises like put()."""
        at = self._key(key)
        self._check(at, condition, bound, return_old=return_old)
        before = self.items.pop(at, None)
        if before is not None:
            self._history[at].append((self._now(), None))
        return before

    def update(self, key: Item, update: str, condition: str, bound: Bound, *, return_old: bool) -> Item:
        """The item after the update. DynamoDB makes a new one where there is none, unless the condition forbids it."""
        at = self._key(key)
        self._check(at, condition, bound, update, return_old=return_old)
        try:
            after = updated(update, self.items.get(at, dict(key)), bound)
        except InvalidExpression as error:
            raise _invalid(str(error)) from error
        if any(after.get(name) != value for name, value in key.items()):
            raise _invalid("the key can't be changed")
        self._write(at, after)
        return after

    def _check(self, key: Key, condition: str, bound: Bound, *expressions: str, return_old: bool) -> None:
        old = self.items.get(key)
        try:
            check_bindings(bound, condition, *expressions)
            met = not condition or holds(condition, old or {}, bound)
        except InvalidExpression as error:
            raise _invalid(str(error)) from error
        if not met:
            response: Any = {"Error": {"Code": "ConditionalCheckFailedException", "Message": condition}}
            if old is not None and return_old:
                response["Item"] = old
            raise ConditionalCheckFailedException(response, "Write")

    def _write(self, key: Key, item: Item) -> None:
        for name, kind in self._types.items():
            if name in item and (kind not in item[name] or item[name][kind] == ""):
                raise _invalid(f"{name} is a key and must be {kind}, and not empty")
        before = self.items.get(key)
        self.items[key] = item
        self._history.setdefault(key, []).append((self._now(), item))
        for name, index in self._indexes.items():
            if index.partition in item and index.sort in item:
                [partition] = item[index.partition].values()
                self._members[name, partition][key] = None
        self._wrote(self.name, before, item)

    def _key(self, item: Item) -> Key:
        try:
            return tuple(item[name]["S"] for name in self._keys)
        except KeyError as error:
            raise _invalid(f"the key {error} is missing or not a string") from error


def _invalid(message: str) -> ClientError:
    return ClientError({"Error": {"Code": "ValidationException", "Message": message}}, "Write")
