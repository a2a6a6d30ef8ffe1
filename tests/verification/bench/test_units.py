"""DynamoDB's sizes and units, by the rules that AWS documents."""

from typing import Any

import pytest

from orders.aws.dynamodb import to_item
from tools import topology
from verification.bench.units import OVERHEAD_BYTES, Usage, read, refused, size, total, written

ORDER = {"orderId": "o", "customerId": "c", "placedAt": "t"}


def write(before: dict[str, Any] | None, after: dict[str, Any], table: str = "OrdersTable") -> Usage:
    declared = topology.of_type("AWS::DynamoDB::Table")[table]
    return written(declared, to_item(before) if before else None, to_item(after))


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


def test_a_write_counts_each_begun_kilobyte() -> None:
    names = sum(map(len, (*ORDER, *ORDER.values(), "x")))
    assert write(None, {**ORDER, "x": "x" * (1024 - names)}).write_units == 1
    assert write(None, {**ORDER, "x": "x" * (1025 - names)}).write_units == 2


def test_an_update_counts_what_is_larger_before_or_after() -> None:
    large = {**ORDER, "x": "x" * 1500}
    assert write(large, ORDER).write_units == write(ORDER, large).write_units == 2
    assert write(ORDER, ORDER).write_units == 1


def test_a_refused_write_counts_the_item_that_is_there() -> None:
    assert refused(to_item({**ORDER, "x": "x" * 1500})) == Usage(write_units=2)
    assert refused(None) == Usage(write_units=1)


def test_an_index_is_written_when_its_entry_comes_changes_or_goes() -> None:
    is_open = {**ORDER, "openShard": 3, "dueAt": "t"}
    assert write(None, is_open).index_write_units == 2, "both of them"
    assert write(is_open, {**is_open, "status": "PAID"}).index_write_units == 0, "it has keys only"
    assert write(is_open, {**is_open, "dueAt": "u"}).index_write_units == 2, "the old entry goes, the new one comes"
    assert write(is_open, ORDER).index_write_units == 1
    assert write(ORDER, ORDER).index_write_units == 0


def test_the_audit_log_is_written_once_and_once_more_in_its_index() -> None:
    entry = {"eventId": "e", "timestamp": "t", "orderId": "o", "detail": {}}
    usage = write(None, entry, "AuditLogTable")
    assert (usage.write_units, usage.index_write_units) == (1, 1)


def test_a_strong_read_counts_twice_as_much_as_another() -> None:
    item = to_item({"x": "x" * 5000})
    assert read([item], consistent=True).read_units == 2
    assert read([item], consistent=False).read_units == 1


def test_a_query_counts_all_that_it_reads_together_and_nothing_as_a_half() -> None:
    assert read([to_item({"x": "x" * 1500})] * 3, consistent=False).read_units == 1
    assert read([], consistent=False).read_units == 0.5


def test_a_batch_of_reads_counts_each_by_itself() -> None:
    assert total(read([to_item(ORDER)], consistent=True) for _ in range(3)).read_units == 3


def test_what_is_stored_has_an_overhead_for_each_item_and_each_entry() -> None:
    paid = {**ORDER, "status": "PAID"}
    usage = write(None, paid)
    assert usage.stored_bytes == size(to_item(paid)) + OVERHEAD_BYTES
    assert usage.stored_index_bytes == size(to_item(ORDER)) + OVERHEAD_BYTES, "by customer; it is not open"
    assert write(paid, {**ORDER, "status": ""}).stored_bytes == -len("PAID"), "it is replaced"


def test_a_deletion_counts_what_was_there_and_its_entry_in_an_index() -> None:
    declared = topology.of_type("AWS::DynamoDB::Table")["FeedTable"]
    ticket, connection = ({"id": "i", **more} for more in ({"opens": "o"}, {"orderId": "o", "connectedAt": "t"}))
    assert written(declared, to_item(ticket), None).index_write_units == 0
    assert written(declared, to_item(connection), None)[1:3] == (1, 1)
    assert written(declared, None, None) == Usage(write_units=1), "nothing was there"
    added, deleted = written(declared, None, to_item(connection)), written(declared, to_item(connection), None)
    assert (added.stored_bytes, added.stored_index_bytes) == (-deleted.stored_bytes, -deleted.stored_index_bytes)
