"""The code's own conditional writes, tried on random items, here and on another DynamoDB."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from botocore.exceptions import ClientError

from orders.aws.dynamodb import Item
from orders.aws.store import OrdersTable
from orders.ports import Due
from verification.expressions import Value
from verification.simulation.clients import client
from verification.simulation.cloud import SimulatedCloud
from verification.simulation.faults import ScriptedFaults
from verification.simulation.random_source import RandomSource
from verification.simulation.schedule import run
from verification.simulation.trace import Trace
from verification.simulation.world import Process, World
from verification.tables import Table, Write

WITH_EVERY_EXPRESSION = (0, 1, 49)
"""Seeds whose schedules need every expression of the code between them."""

TABLES = ("Orders", "AuditLog", "GatewayLedger")

Put = Callable[[str, Item], None]
Try = Callable[[Write], Any]


def writes() -> list[Write]:
    """Every write with expressions of its own that the code makes, with values that it bound to them once."""
    found: dict[tuple[str, str, str], Write] = {}
    for seed in WITH_EVERY_EXPRESSION:
        found = {**run(seed).cloud.writes, **found}
    found |= putting_off()
    return [found[key] for key in sorted(found)]


def putting_off() -> dict[tuple[str, str, str], Write]:
    """The one write that few schedules need: an order whose event can't be published is due again soon."""
    world = World()
    cloud = SimulatedCloud(world, ScriptedFaults({}), RandomSource(0), Trace(world))
    due = Due("2026-01-31T09:30:00.000Z", "00000000-0000-4000-8000-000000000000")
    store = OrdersTable(client(cloud, "dynamodb", None), "Orders")
    world.start(Process("test", ""), lambda: store.reschedule(due, "2026-01-31T15:30:00.000Z"), lambda _, error: None)
    world.run(lambda: False)
    return cloud.writes


def items() -> dict[str, list[Item]]:
    """Items of each table as the code leaves them, to be damaged."""
    cloud = run(0).cloud
    return {name: list(table.items.values()) for name, table in cloud.tables.items()}


def variations(write: Write, known: list[Item], random: Random, count: int) -> Iterator[Item | None]:
    """What the write may meet: nothing, whole items of its kind, and items with attributes missing or of other types.

    Now and then an attribute has the very value that the write asks for.
    """
    yield None
    keys = {"Orders": ("orderId",), "GatewayLedger": ("idempotencyKey",)}.get(write.table, ("eventId", "timestamp"))
    for _ in range(count):
        item = damaged(random.choice(known), random, list(write.bound.values.values()))
        yield {**item, **{name: write.item[name] for name in keys}}


_KEYS = ("customerId", "placedAt", "dueAt", "timestamp", "orderId", "eventId", "idempotencyKey")
"""Of tables and indexes: nothing but strings."""


def damaged(item: Item, random: Random, likely: list[Value]) -> Item:
    """A copy in which some values are gone, some are others, also inside of maps."""
    copy: Item = {}
    for name, value in item.items():
        drawn = random.random()
        if drawn < 0.15:
            continue
        if drawn < 0.35 and likely:
            copy[name] = random.choice(likely)
        elif drawn < 0.45:
            copy[name] = any_value(random)
        elif "M" in value:
            copy[name] = {"M": damaged(value["M"], random, likely)}
        else:
            copy[name] = value
    for name in ("payment", "fulfillment", "cancellation", "refund", "state", "emailClaim", "smsClaim", "notification"):
        if random.random() < 0.1:
            copy[name] = any_value(random)
    for name in _KEYS:
        if name in copy and not copy[name].get("S"):
            del copy[name]
    if "N" not in copy.get("openShard", {"N": "0"}):
        del copy["openShard"]
    return copy


def any_value(random: Random) -> Value:
    choices: list[Value] = [
        {"S": random.choice(["PLACED", "PAID", "", "2026-01-31T09:30:00.000Z", "é", "zzz"])},
        {"N": random.choice(["0", "1", "1.0", "-7", "1890", "1E+3"])},
        {"BOOL": random.random() < 0.5},
        {"NULL": True},
        {"L": [{"S": "a"}, {"N": "1"}]},
        {"M": {"at": {"S": "2026-01-31T09:30:00.000Z"}, "status": {"S": "COMPLETED"}}},
        {"SS": ["a", "b"]},
    ]
    return random.choice(choices)


def here(shape: Any) -> tuple[Put, Try]:
    """The simulated table of a shape."""
    table = Table("Orders", shape, lambda: 0.0, lambda *_: None)

    def put(key: str, item: Item) -> None:
        table.items[tuple(item[name]["S"] for name in table_keys(shape))] = item

    def attempt(write: Write) -> Any:
        if write.update:
            return table.update(write.item, write.update, write.condition, write.bound, return_old=True)
        table.put(write.item, write.condition, write.bound, return_old=True)
        return None

    return put, attempt


def there(client: Any, name: str) -> tuple[Put, Try]:
    """A table of another DynamoDB, through boto3."""

    def put(_key: str, item: Item) -> None:
        client.put_item(TableName=name, Item=item)

    def attempt(write: Write) -> Any:
        asked: dict[str, Any] = {
            "TableName": name,
            "ConditionExpression": write.condition,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if write.bound.names:
            asked["ExpressionAttributeNames"] = dict(write.bound.names)
        if write.bound.values:
            asked["ExpressionAttributeValues"] = dict(write.bound.values)
        if not write.update:
            client.put_item(**asked, Item=write.item)
            return None
        answer = client.update_item(**asked, Key=write.item, UpdateExpression=write.update, ReturnValues="ALL_NEW")
        return answer["Attributes"]

    return put, attempt


def table_keys(shape: Any) -> list[str]:
    return [key["AttributeName"] for key in shape["KeySchema"]]


def outcome(attempt: Try, write: Write) -> tuple[str, Any]:
    """How a write ended, in words that every DynamoDB shares."""
    try:
        return "done", canonical(attempt(write))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return code, canonical(error.response.get("Item"))


def canonical(value: Any) -> Any:
    """Numbers by their worth, sets without order."""
    if isinstance(value, dict):
        if set(value) == {"N"}:
            return {"N": float(value["N"])}
        if set(value) <= {"SS", "NS"} and value:
            return {kind: sorted(members) for kind, members in value.items()}
        return {name: canonical(member) for name, member in value.items()}
    if isinstance(value, list):
        return [canonical(member) for member in value]
    return value


def shown(item: Item | None) -> str:
    return json.dumps(item, ensure_ascii=False)[:2000]
