"""Events and orders of version 1, as they were recorded: this code must take each of them to its end, for ever.

An event may reach a newer consumer from the bus, from the archive or from a dead-letter queue, days or years later.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from operations.dead_letters import redrive
from orders.events import VERSIONS, decode
from tests.shop import Envelope, Shop
from tests.unit.dead_letter_queues import DEAD_NOTIFICATIONS, FUNCTION, Queues
from tools.checkout import ROOT

RECORDED = ROOT / "tests" / "recorded" / "v1"
EVENTS = sorted((RECORDED / "events").glob("*.json"))
ORDERS = sorted((RECORDED / "orders").glob("*.json"))


def recorded(kind: str, name: str) -> Any:
    return json.loads((RECORDED / kind / f"{name}.json").read_text())


def in_flight(shop: Shop, function: str, event: Envelope) -> None:
    """From the bus."""
    shop.deliver(function, event)


def archived(shop: Shop, function: str, event: Envelope) -> None:
    """From the archive, which marks it."""
    shop.deliver(function, {**event, "replay-name": "replay-1"})


def dead_lettered(shop: Shop, function: str, event: Envelope) -> None:
    """From the dead-letter queue that the function's failures end in, by the operator's redrive."""
    queues = Queues()
    if function == "notification":
        queues.put(event, DEAD_NOTIFICATIONS)
    else:
        queues.put_failure(event, FUNCTION.replace("fulfillment", function))
    assert len(list(redrive(queues.stack))) == 1
    [(_, payload)] = queues.delivered
    shop.deliver(function, json.loads(payload))


Delivery = Callable[[Shop, str, Envelope], None]

STEPS = [  # the recorded order, the event, the function that consumes it, and what must be on the order then
    ("placed", "OrderPlacedEvent", "paymentProcessing", lambda order: order["payment"]["status"] == "COMPLETED"),
    (
        "reconciled",
        "OrderPlacedEvent-again",
        "paymentProcessing",
        lambda order: order["payment"]["status"] == "COMPLETED",
    ),
    ("charged", "PaymentCompletedEvent", "orderStatusUpdater", lambda order: order["status"] == "PAID"),
    ("charged", "PaymentCompletedEvent", "fulfillment", lambda order: "trackingId" in order["fulfillment"]),
    ("shipped", "FulfillmentCompletedEvent", "orderStatusUpdater", lambda order: order["status"] == "FULFILLED"),
    ("fulfilled", "FulfillmentCompletedEvent", "notification", lambda order: "messageId" in order["notification"]),
    ("declined", "PaymentFailedEvent", "notification", lambda order: "messageId" in order["notification"]),
    ("cancelled", "OrderCancelledEvent", "orderStatusUpdater", lambda order: order["status"] == "CANCELLED"),
    ("cancelled", "OrderCancelledEvent", "notification", lambda order: "messageId" in order["notification"]),
    ("refunded", "OrderCancelledEvent", "paymentProcessing", lambda order: order["refund"]["amount"] == 2800),
    ("refunded", "PaymentRefundedEvent", "orderStatusUpdater", lambda order: order["status"] == "REFUNDED"),
]


@pytest.mark.parametrize("path", [in_flight, archived, dead_lettered], ids=lambda path: path.__name__)
@pytest.mark.parametrize(
    ("order", "event", "function", "holds"), STEPS, ids=lambda each: each if isinstance(each, str) else ""
)
def test_a_recorded_event_takes_its_recorded_order_a_step_further(
    shop: Shop, path: Delivery, order: str, event: str, function: str, holds: Callable[[dict[str, Any]], bool]
) -> None:
    item = recorded("orders", order)
    shop.store(item)
    path(shop, function, recorded("events", event))
    assert holds(shop.item(item["orderId"]))


@pytest.mark.parametrize("file", EVENTS, ids=lambda file: file.stem)
def test_a_recorded_event_decodes(file: Path) -> None:
    envelope = json.loads(file.read_text())
    assert decode(envelope).detail_type() == envelope["detail-type"]


@pytest.mark.parametrize("file", ORDERS, ids=lambda file: file.stem)
def test_a_recorded_order_is_shown_to_its_customer(shop: Shop, file: Path) -> None:
    item = json.loads(file.read_text())
    shop.store(item)
    shown = shop.order(item["orderId"])
    assert {name: shown[name] for name in ("status", "totalAmount", "placedAt")} == {
        name: item[name] for name in ("status", "totalAmount", "placedAt")
    }


def test_recorded_rows_of_the_audit_log_are_shown(shop: Shop) -> None:
    order = recorded("orders", "closed")
    shop.store(order)
    rows = [json.loads(file.read_text()) for file in sorted((RECORDED / "audit_log").glob("*.json"))]
    for row in rows:
        assert "loggedAt" not in row
        shop.log(row)
    shown = shop.trail(order["orderId"])
    assert [row["eventType"] for row in shown] == [
        "OrderPlacedEvent",
        "PaymentCompletedEvent",
        "FulfillmentCompletedEvent",
    ]
    assert shown[1]["data"] == recorded("events", "PaymentCompletedEvent")["detail"]["data"]


def test_recorded_events_and_orders_survive_an_added_field(tmp_path: Path) -> None:
    """All of the above again, in a copy of the code whose events have one more optional field."""
    for part in ("orders", "handlers", "operations", "tools", "verification", "tests", "resources"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for part in ("serverless.yml", "pyproject.toml"):
        shutil.copy(ROOT / part, tmp_path)
    events = tmp_path / "orders" / "events.py"
    source = events.read_text()
    for data in (name.removesuffix("Event") for name in VERSIONS["1"]):
        head = f"class {data}(EventData):\n"
        assert source.count(head) == 1
        source = source.replace(head, f"{head}    gift_note: Text | None = None\n")
    events.write_text(source)

    again = [sys.executable, "-m", "pytest", "-q", "-k", "not survive", f"tests/unit/{Path(__file__).name}"]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(again, cwd=tmp_path, capture_output=True, text=True, check=False, env=alone)

    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{len(EVENTS) + len(ORDERS) + 3 * len(STEPS) + 1} passed" in done.stdout
