"""DynamoDB's sizes and units, by the rules that AWS documents."""

from typing import Any

import pytest

from orders.aws.dynamodb import to_item
from verification.bench.units import OVERHEAD, Meter, Units, size

ORDER = {"orderId": "o", "customerId": "c", "placedAt": "t"}


@pytest.fixture
def meter() -> Meter:
    return Meter("Orders", "AuditLog")


def put(meter: Meter, item: dict[str, Any], status: int = 200, table: str = "Orders", **answer: Any) -> Units:
    return meter.units("dynamodb:PutItem", {"TableName": table, "Item": to_item(item)}, status, answer)


def update(meter: Meter, item: dict[str, Any]) -> Units:
    """So that the item looks like this afterwards."""
    key = to_item({"orderId": item["orderId"]})
    request = {"TableName": "Orders", "Key": key}
    return meter.units("dynamodb:UpdateItem", request, 200, {"Attributes": to_item(item)})


@pytest.mark.parametrize(
    ("value", "bytes_of_it"),
    [
        ("", 0),
        ("Kaffee", 6),
        ("Käffchen", 9),
        (0, 2),
        (7, 2),
        (12, 2),
        (123, 3),
        (1400, 2),  # the zeros at the end are not stored
        (-12, 3),
        (True, 1),
        (None, 1),
        ([], 3),
        (["ab", 1], 3 + 2 + (2 + 2)),
        ({}, 3),
        ({"ab": "c"}, 3 + 1 + (2 + 1)),
    ],
)
def test_an_attribute_has_the_size_that_aws_says(value: Any, bytes_of_it: int) -> None:
    assert size(to_item({"name": value})) == len("name") + bytes_of_it


def test_a_write_counts_each_begun_kilobyte(meter: Meter) -> None:
    names = sum(map(len, (*ORDER, *ORDER.values(), "x")))
    assert put(meter, {**ORDER, "x": "x" * (1024 - names)}).writes == 1
    assert put(meter, {**ORDER, "x": "x" * (1025 - names)}).writes == 2


def test_an_update_counts_what_is_larger_before_or_after(meter: Meter) -> None:
    put(meter, {**ORDER, "x": "x" * 1500})
    assert update(meter, ORDER).writes == 2
    assert update(meter, ORDER).writes == 1


def test_a_refused_write_counts_the_item_that_is_there(meter: Meter) -> None:
    assert put(meter, ORDER, status=400, Item=to_item({**ORDER, "x": "x" * 1500})) == Units(writes=2)
    assert put(meter, ORDER, status=400) == Units(writes=1)


def test_an_index_is_written_when_its_entry_comes_changes_or_goes(meter: Meter) -> None:
    is_open = {"openShard": 3, "dueAt": "t"}
    assert put(meter, {**ORDER, **is_open}).index_writes == 2, "both of them"
    assert update(meter, {**ORDER, **is_open, "status": "PAID"}).index_writes == 0, "it has keys only"
    assert update(meter, {**ORDER, **is_open, "dueAt": "u"}).index_writes == 2, "the old entry goes, the new one comes"
    assert update(meter, ORDER).index_writes == 1
    assert update(meter, ORDER).index_writes == 0


def test_the_audit_log_is_written_once_and_once_more_in_its_index(meter: Meter) -> None:
    entry = {"eventId": "e", "timestamp": "t", "orderId": "o", "detail": {}}
    assert put(meter, entry, table="AuditLog") == Units(writes=1, index_writes=1)


def test_a_strong_read_counts_twice_as_much_as_another(meter: Meter) -> None:
    request, answer = {"TableName": "Orders", "ConsistentRead": True}, {"Item": to_item({"x": "x" * 5000})}
    assert meter.units("dynamodb:GetItem", request, 200, answer).reads == 2
    assert meter.units("dynamodb:GetItem", {**request, "ConsistentRead": False}, 200, answer).reads == 1


def test_a_query_counts_all_that_it_reads_together_and_nothing_as_a_half(meter: Meter) -> None:
    entries = [to_item({"x": "x" * 1500})] * 3
    assert meter.units("dynamodb:Query", {}, 200, {"Items": entries}).reads == 1
    assert meter.units("dynamodb:Query", {}, 200, {"Items": []}).reads == 0.5


def test_a_batch_of_reads_counts_each_by_itself(meter: Meter) -> None:
    request = {"RequestItems": {"Orders": {"Keys": [], "ConsistentRead": True}}}
    answer = {"Responses": {"Orders": [to_item(ORDER)] * 3}}
    assert meter.units("dynamodb:BatchGetItem", request, 200, answer).reads == 3


def test_what_is_stored_has_an_overhead_for_each_item_and_each_entry(meter: Meter) -> None:
    put(meter, {**ORDER, "status": "PAID"})
    assert meter.stored.tables == size(to_item({**ORDER, "status": "PAID"})) + OVERHEAD
    assert meter.stored.indexes == size(to_item(ORDER)) + OVERHEAD, "by customer; it is not open"
