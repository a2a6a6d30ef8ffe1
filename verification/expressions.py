"""DynamoDB's condition and update expressions, as far as this code uses them, on items as the client has them.

    condition  #payment.#status = :fact0 AND (attribute_not_exists(#claim) OR #claim.#at < :stale)
    update     SET #attempt = if_not_exists(#attempt, :one) + :one REMOVE #dueAt

Grammar and meaning are those of the DynamoDB Developer Guide ("Condition and filter expressions", "Update
expressions"). What the code does not use is not here: it raises NotImplementedError rather than being kinder than
DynamoDB. tests/verification/test_expressions.py and tests/e2e/test_expressions.py compare it with moto and MiniStack.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from orders.aws.dynamodb import Item

Value = dict[str, Any]
"""A typed value: `{"S": "PLACED"}`."""
Path = tuple[str, ...]


class InvalidExpression(Exception):
    """An expression that DynamoDB refuses with a ValidationException."""


class Bound(NamedTuple):
    """The names and values that a request binds to the expression's placeholders."""

    names: Mapping[str, str]
    values: Mapping[str, Value]


Operand = Callable[[Item, Bound], Value | None]
Condition = Callable[[Item, Bound], bool]
Action = Callable[[Item, Bound], tuple[Path, Value | None]]
"""From the item as it was: a path, and its new value; None removes it."""


def holds(condition: str, item: Item, bound: Bound) -> bool:
    """Whether the item meets the condition. Raises InvalidExpression."""
    return _condition(condition)(item, bound)


def updated(update: str, item: Item, bound: Bound) -> Item:
    """The item after the update; every operand is read from the item as it was. Raises InvalidExpression."""
    changes = [action(item, bound) for action in _update(update)]
    paths = [path for path, _ in changes]
    for n, path in enumerate(paths):
        if any(path[: len(other)] == other or other[: len(path)] == path for other in paths[:n]):
            raise InvalidExpression(f"two paths overlap: {'.'.join(path)}")
    result = dict(item)
    for path, value in changes:
        _change(result, path, value)
    return result


def check_bindings(bound: Bound, *expressions: str) -> None:
    """Raise InvalidExpression for a name or value that is bound and not used, or used and not bound."""
    used = set(re.findall(r"[#:]\w+", " ".join(expressions)))
    given = {*bound.names, *bound.values}
    if used != given:
        raise InvalidExpression(f"bound but not used, or used but not bound: {sorted(used ^ given)}")


# --- paths and values -------------------------------------------------------------------------------------------------


def _find(item: Item, path: Path) -> Value | None:
    value: Value | None = {"M": item}
    for name in path:
        value = value.get("M", {}).get(name) if value else None
    return value


def _change(item: Item, path: Path, value: Value | None) -> None:
    """Set or remove a value in an item. Its top level is changed in place; deeper levels are copied."""
    *parents, name = path
    place = item
    for parent in parents:
        if parent not in place or "M" not in place[parent]:
            if value is None:
                return
            raise InvalidExpression(f"the path {'.'.join(path)} leads nowhere")
        place[parent] = {"M": dict(place[parent]["M"])}
        place = place[parent]["M"]
    if value is None:
        place.pop(name, None)
    else:
        place[name] = value


def _plain(value: Value) -> tuple[str, Any]:
    """A value that compares as in DynamoDB: numbers by their value, all others by type and content."""
    [(kind, content)] = value.items()
    if kind == "N":
        return kind, Decimal(content)
    if kind == "M":
        return kind, {name: _plain(member) for name, member in content.items()}
    if kind == "L":
        return kind, [_plain(member) for member in content]
    if kind in {"SS", "NS", "BS"}:
        return kind, {Decimal(member) if kind == "NS" else member for member in content}
    return kind, content


def _equal(left: Value | None, right: Value | None) -> bool:
    return left is not None and right is not None and (left == right or _plain(left) == _plain(right))


def _ordered(left: Value | None, right: Value | None) -> tuple[Any, Any] | None:
    """Both as comparable values; None if one is absent or the types differ: then no comparison holds."""
    if left is None or right is None:
        return None
    (left_kind, first), (right_kind, second) = _plain(left), _plain(right)
    if left_kind != right_kind or left_kind not in {"S", "N", "B"}:
        return None
    if left_kind == "S":  # by UTF-8 bytes
        return first.encode(), second.encode()
    return first, second


# --- the parser -------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\s*([#:]?\w+|<=|<>|[=<(),.+])")


class _Reader:
    """Reads an expression from left to right, once."""

    def __init__(self, expression: str) -> None:
        self._tokens: list[str] = []
        position, end = 0, len(expression.rstrip())
        while position < end:
            found = _TOKEN.match(expression, position)
            if not found:
                raise NotImplementedError(f"not understood: {expression[position:]!r} in {expression!r}")
            self._tokens.append(found[1])
            position = found.end()
        self._tokens.append("")  # the end

    @property
    def next(self) -> str:
        return self._tokens[0]

    def take(self, *expected: str) -> str:
        if expected and self.next not in expected:
            raise NotImplementedError(f"{self.next!r} is there, where one of {expected} is expected")
        return self._tokens.pop(0)

    def took(self, token: str) -> bool:
        return self.next == token and bool(self.take())

    def several(self, one: Callable[[], Any]) -> list[Any]:
        found = [one()]
        while self.took(","):
            found.append(one())
        return found

    # conditions

    def either(self) -> Condition:
        parts = [self.all()]
        while self.took("OR"):
            parts.append(self.all())
        return parts[0] if len(parts) == 1 else lambda item, bound: any(part(item, bound) for part in parts)

    def all(self) -> Condition:
        parts = [self.one()]
        while self.took("AND"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else lambda item, bound: all(part(item, bound) for part in parts)

    def one(self) -> Condition:
        if self.took("("):
            inside = self.either()
            self.take(")")
            return inside
        if self.next in {"attribute_exists", "attribute_not_exists"}:
            wanted = self.take() == "attribute_exists"
            self.take("(")
            operand = self.path_value()
            self.take(")")
            return lambda item, bound: (operand(item, bound) is not None) == wanted
        left = self.operand()
        if self.took("IN"):
            self.take("(")
            choices = self.several(self.operand)
            self.take(")")
            return lambda item, bound: any(_equal(left(item, bound), choice(item, bound)) for choice in choices)
        comparison, right = self.take("=", "<>", "<", "<="), self.operand()
        if comparison == "<>":  # true as well where one of the two is absent
            return lambda item, bound: not _equal(left(item, bound), right(item, bound))
        if comparison == "=":
            return lambda item, bound: _equal(left(item, bound), right(item, bound))

        def compares(item: Item, bound: Bound) -> bool:
            pair = _ordered(left(item, bound), right(item, bound))
            return pair is not None and (pair[0] < pair[1] or (comparison == "<=" and pair[0] == pair[1]))

        return compares

    # operands

    def path(self) -> Callable[[Bound], Path]:
        parts = [self.take()]
        while self.took("."):
            parts.append(self.take())
        if not all(re.fullmatch(r"#?\w+", part) for part in parts):
            raise NotImplementedError(f"not a path: {parts}")
        return lambda bound: tuple(_name(part, bound) for part in parts)

    def path_value(self) -> Operand:
        path = self.path()
        return lambda item, bound: _find(item, path(bound))

    def operand(self) -> Operand:
        if not self.next.startswith(":"):
            return self.path_value()
        name = self.take()
        return lambda _item, bound: _value(name, bound)

    # updates

    def actions(self) -> list[Action]:
        found: list[Action] = []
        while clause := self.take("SET", "REMOVE", ""):
            found += self.several(self.assignment if clause == "SET" else self.removal)
        return found

    def removal(self) -> Action:
        path = self.path()
        return lambda _item, bound: (path(bound), None)

    def assignment(self) -> Action:
        path = self.path()
        self.take("=")
        first = self.term()
        second = self.term() if self.took("+") else None

        def assign(item: Item, bound: Bound) -> tuple[Path, Value | None]:
            value = _present(first(item, bound))
            if second:
                value = _sum(value, _present(second(item, bound)))
            return path(bound), value

        return assign

    def term(self) -> Operand:
        if self.next not in {"if_not_exists", "list_append"}:
            return self.operand()
        function = self.take()
        self.take("(")
        first = self.term()
        self.take(",")
        second = self.term()
        self.take(")")
        if function == "if_not_exists":
            return lambda item, bound: first(item, bound) or second(item, bound)
        return lambda item, bound: _joined(_present(first(item, bound)), _present(second(item, bound)))


@cache
def _condition(expression: str) -> Condition:
    reader = _Reader(expression)
    condition = reader.either()
    reader.take("")
    return condition


@cache
def _update(expression: str) -> list[Action]:
    return _Reader(expression).actions()


def _name(part: str, bound: Bound) -> str:
    return bound.names[part] if part.startswith("#") else part


def _value(name: str, bound: Bound) -> Value:
    return bound.values[name]


def _present(value: Value | None) -> Value:
    if value is None:
        raise InvalidExpression("an operand of the update is an attribute that the item does not have")
    return value


def _sum(left: Value, right: Value) -> Value:
    if "N" not in left or "N" not in right:
        raise InvalidExpression("only numbers can be added")
    return {"N": str(Decimal(left["N"]) + Decimal(right["N"]))}


def _joined(left: Value, right: Value) -> Value:
    if "L" not in left or "L" not in right:
        raise InvalidExpression("only lists can be joined")
    return {"L": [*left["L"], *right["L"]]}
