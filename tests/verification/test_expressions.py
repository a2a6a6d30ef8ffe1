"""The evaluator of expressions against moto's, on random items. tests/e2e does the same against the embedded AWS."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from orders.aws.audit import AuditLogTable
from orders.aws.dynamodb import Item
from orders.aws.store import LATE_SHARDS, YOUNG_SHARDS, OrdersTable
from tests.shop import Shop
from tests.verification.simulation import writes as w
from tests.wire import Wire
from tools import topology
from verification.expressions import Bound, InvalidExpression, Value, check_bindings, holds, updated
from verification.simulation.clients import client
from verification.simulation.cloud import SimulatedCloud
from verification.simulation.faults import ScriptedFaults
from verification.simulation.random_source import RandomSource
from verification.simulation.trace import Trace
from verification.simulation.world import Process, SimulatedPool, World
from verification.tables import Write

SHAPES = {name: topology.of_type("AWS::DynamoDB::Table")[f"{name}Table"] for name in w.TABLES}


def test_every_write_of_the_code_ends_on_random_items_as_on_moto_s_dynamodb(wire: Wire) -> None:
    dynamodb, known = wire.client("dynamodb"), w.items()
    seed = Random().randrange(2**32)
    ends = compare(dynamodb, known, seed, 4)
    assert {"done", "ConditionalCheckFailedException"} <= ends


def compare(
    dynamodb: Any,
    known: dict[str, list[Item]],
    seed: int,
    count: int,
    differs: Callable[[Write, Item], bool] = lambda _write, _item: False,
) -> set[str]:
    """Try each write on so many random items, here and there, but where it is known to differ; how they ended."""
    random, ends = Random(seed), set[str]()
    tables = {}
    for name, shape in SHAPES.items():
        table = f"{name}-{uuid4().hex[:8]}"
        taken = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
        dynamodb.create_table(TableName=table, **{part: shape[part] for part in taken if part in shape})
        tables[name] = table
    for write in w.writes():
        for item in w.variations(write, known[write.table], random, count):
            if item and differs(write, item):
                continue
            (put_here, try_here), (put_there, try_there) = (
                w.here(SHAPES[write.table]),
                w.there(dynamodb, tables[write.table]),
            )
            key = {name: write.item[name] for name in w.table_keys(SHAPES[write.table])}
            if item is None:
                dynamodb.delete_item(TableName=tables[write.table], Key=key)
            else:
                put_here("", item)
                put_there("", item)
            ours, theirs = w.outcome(try_here, write), w.outcome(try_there, write)
            assert ours == theirs, f"seed {seed}: {write.update} IF {write.condition} on {w.shown(item)}"
            ends.add(ours[0])
    return ends


@pytest.mark.parametrize("page", [500, 3])
def test_every_query_of_the_code_finds_the_same_pages_as_in_moto_s_dynamodb(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("orders.aws.store.DUE_PAGE", page)
    # given the same orders and rows there and here
    random = Random(4)
    world = World()
    simulated = SimulatedCloud(world, ScriptedFaults({}), RandomSource(4), Trace(world))
    seconds = random.sample(range(60), 40)  # no two at once: each DynamoDB orders those in its own way
    orders = [_order(random, n, second) for n, second in enumerate(seconds)]
    rows = [_row(random, n) for n in range(40)]
    real = shop.wire.client("dynamodb")
    for table, items in {"Orders": orders, "AuditLog": rows}.items():
        for item in items:
            real.put_item(TableName=table, Item=item)

    def found(dynamodb: Any, pool: Any) -> list[Any]:
        store, log = OrdersTable(dynamodb, "Orders"), AuditLogTable(dynamodb, "AuditLog")
        pages, start = [], None
        for _ in range(6):
            listed, unreadable, start = store.of_customer("customer-1", limit=4, start=start)
            assert unreadable == []
            pages.append(([order.order_id for order in listed], start))
        return [pages, list(store.due(pool)), store.overdue(), log.trail("order-1")]

    # when
    answers: list[Any] = []

    def here() -> None:
        for table, items in {"Orders": orders, "AuditLog": rows}.items():
            for item in items:
                simulated.tables[table].put(item, "attribute_not_exists(nothing)", Bound({}, {}), return_old=False)
        answers.append(found(client(simulated, "dynamodb", None), SimulatedPool(world, 4)))

    world.start(Process("test", ""), here, lambda _, error: None if error is None else answers.append(error))
    world.run(lambda: False)

    # then
    with ThreadPoolExecutor() as pool:
        assert answers == [found(real, pool)]
    assert all(answers[0]), "each query found something"


def _order(random: Random, number: int, second: int) -> Item:
    at = f"2025-01-31T09:30:{second:02}.000Z"
    is_open = {"openShard": {"N": str(random.randrange(YOUNG_SHARDS + len(LATE_SHARDS)))}, "dueAt": {"S": at}}
    return {
        "orderId": {"S": f"{number:08}-0000-4000-8000-{random.randrange(10**12):012}"},
        "customerId": {"S": f"customer-{random.randrange(2)}"},
        "status": {"S": "PLACED"},
        "items": {"L": [_line()]},
        "totalAmount": {"N": "1400"},
        "currency": {"S": "EUR"},
        "paymentMethod": {"S": "tok_visa"},
        "placedAt": {"S": at},
        **(is_open if random.random() < 0.8 else {}),
    }


def _line() -> Value:
    line = {"sku": {"S": "MUG"}, "name": {"S": "Mug"}, "quantity": {"N": "1"}, "unitPrice": {"N": "1400"}}
    return {"M": line}


def _row(random: Random, number: int) -> Item:
    return {
        "eventId": {"S": f"event-{number}"},
        "timestamp": {"S": f"2025-01-31T09:30:{number:02}.000Z"},
        "orderId": {"S": f"order-{random.randrange(3)}"},
        "detail": {"M": {"number": {"N": str(number)}}},
    }


@pytest.mark.parametrize(
    ("expression", "item", "met"),
    [
        ("#a = :v", {"a": {"N": "1.0"}}, True),
        ("#a = :v", {"a": {"S": "1"}}, False),
        ("#a = :v", {}, False),
        ("#a < :v", {"a": {"N": "0"}}, True),
        ("#a < :v", {"a": {"S": "0"}}, False),
        ("#a <= :v", {"a": {"N": "1"}}, True),
        ("#a IN (:v)", {"a": {"N": "1"}}, True),
        ("attribute_exists(#a) AND (#a = :v OR #a < :v)", {"a": {"N": "1"}}, True),
        ("attribute_not_exists(#a.#a) AND #a = :v", {"a": {"N": "1"}}, True),
    ],
)
def test_a_condition_means_what_dynamodb_s_guide_says(expression: str, item: Item, met: bool) -> None:
    assert holds(expression, item, Bound({"#a": "a"}, {":v": {"N": "1"}})) is met


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        ("SET #a.#a = :v", "leads nowhere"),
        ("SET #a = #a + :v", "does not have"),
        ("SET #a = list_append(:v, :v)", "only lists"),
        ("SET #a = :v REMOVE #a", "overlap"),
    ],
)
def test_what_dynamodb_finds_invalid_is_invalid_here(update: str, reason: str) -> None:
    with pytest.raises(InvalidExpression, match=reason):
        updated(update, {}, Bound({"#a": "a"}, {":v": {"N": "1"}}))


def test_a_name_that_is_bound_and_not_used_is_invalid() -> None:
    with pytest.raises(InvalidExpression, match="#b"):
        check_bindings(Bound({"#a": "a", "#b": "b"}, {}), "attribute_exists(#a)")


@pytest.mark.parametrize("expression", ["size(#a) > :v", "NOT #a = :v", "#a BETWEEN :v AND :v", "contains(#a, :v)"])
def test_what_the_code_does_not_use_is_refused_rather_than_guessed(expression: str) -> None:
    with pytest.raises(NotImplementedError):
        holds(expression, {}, Bound({"#a": "a"}, {":v": {"N": "1"}}))
