"""Events that somebody puts on the bus with boto3: true ones, false ones, too many of them, replayed ones."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from orders.aws.dynamodb import Item
from tests.e2e.cloud import Cloud
from tests.e2e.shopper import Shopper
from tests.e2e.waiting import wait_for

NOWHERE = "00000000-0000-4000-8000-000000000000"


class OpenOrder(NamedTuple):
    """An order that was put into the table by hand, and of which the bus has not heard."""

    order_id: str
    placed: dict[str, Any]
    """The detail of its OrderPlacedEvent."""


@pytest.fixture(scope="module")
def fulfilled(anna: Shopper) -> Any:
    return anna.ended_order()


@pytest.fixture
def open_order(cloud: Cloud, anna: Shopper, fulfilled: Any) -> OpenOrder:
    return _by_hand(cloud, anna, fulfilled)


def _by_hand(cloud: Cloud, anna: Shopper, fulfilled: Any) -> OpenOrder:
    order_id = str(uuid4())
    item = cloud.item(fulfilled["orderId"])
    assert item
    event_id = str(uuid4())
    first = {"M": {**item["statusHistory"]["L"][0]["M"], "eventId": {"S": event_id}}}
    kept = {name: item[name] for name in item.keys() - {"payment", "fulfillment", "notification"}}
    cloud.store({**kept, "orderId": {"S": order_id}, "status": {"S": "PLACED"}, "statusHistory": {"L": [first]}})
    [placed, *_] = wait_for("trail", lambda: anna.trail(fulfilled["orderId"]))
    metadata = {
        "eventId": event_id,
        "version": "1",
        "occurredAt": placed["timestamp"],
        "correlationId": "by hand",
        "causationId": None,
        "attempt": 1,
    }
    return OpenOrder(order_id, {"metadata": metadata, "data": {**placed["data"], "orderId": order_id}})


def _place(cloud: Cloud, detail: Any) -> str:
    return cloud.put("OrderPlacedEvent", "order-processing.orders", detail)


def test_a_placed_event_by_hand_drives_the_whole_flow(cloud: Cloud, anna: Shopper, open_order: OpenOrder) -> None:
    # when
    _place(cloud, open_order.placed)

    # then
    order = anna.ended(open_order.order_id)
    assert order["status"] == "FULFILLED"
    trail = wait_for("trail", lambda: anna.trail(open_order.order_id), lambda trail: len(trail) == 3)
    assert trail[1]["causationId"] == open_order.placed["metadata"]["eventId"]
    assert len(anna.inbox_of(open_order.order_id)) == 1


def test_ten_deliveries_of_a_placed_event_charge_once(cloud: Cloud, anna: Shopper, open_order: OpenOrder) -> None:
    # when
    for _ in range(10):
        _place(cloud, open_order.placed)

    # then
    order = anna.ended(open_order.order_id)
    trail = wait_for(
        "ten deliveries in the trail",
        lambda: anna.trail(open_order.order_id),
        lambda trail: [entry["eventType"] for entry in trail].count("OrderPlacedEvent") == 10,
    )
    paid = [entry for entry in trail if entry["eventType"] == "PaymentCompletedEvent"]
    assert {entry["data"]["paymentId"] for entry in paid} == {order["payment"]["paymentId"]}
    assert len({entry["domainEventId"] for entry in paid}) == 1
    assert [change["status"] for change in order["statusHistory"]] == ["PLACED", "PAID", "FULFILLED"]
    assert len(cloud.log("paymentProcessing", '"The payment is COMPLETED"')) > 0
    charged = [line for line in cloud.log("paymentProcessing", open_order.order_id) if "The payment is" in line]
    assert len(charged) == 1
    assert len(anna.inbox_of(open_order.order_id)) == 1


# --- false events -----------------------------------------------------------------------------------------------------


class Lie(NamedTuple):
    function: str
    event_id: str
    error: str
    order: OpenOrder
    item: Item | None
    """The order before."""


@pytest.fixture(scope="module")
def lies(cloud: Cloud, anna: Shopper, fulfilled: Any) -> dict[str, Lie]:
    """One of each kind, told at once: each takes its three attempts, a few seconds."""

    def tell(function: str, error: str, detail_type: str, metadata: Any = None, **changes: Any) -> Lie:
        order = _by_hand(cloud, anna, fulfilled)
        detail = {
            "metadata": {**order.placed["metadata"], **(metadata or {})},
            "data": {**order.placed["data"], **changes},
        }
        publisher = {"Fulfi": "fulfillment", "Payme": "payment"}.get(detail_type[:5], "orders")
        source = f"order-processing.{publisher}"
        item = cloud.item(order.order_id)
        return Lie(function, cloud.put(detail_type, source, detail), error, order, item)

    return {
        "unknown order": tell(
            "paymentProcessing", f"OrderNotFound: there is no order {NOWHERE}", "OrderPlacedEvent", orderId=NOWHERE
        ),
        "other amount": tell(
            "paymentProcessing",
            "EventContradictsOrder: OrderPlacedEvent says totalAmount is 1; order",
            "OrderPlacedEvent",
            totalAmount=1,
        ),
        "another event": tell(
            "paymentProcessing",
            f"EventContradictsOrder: OrderPlacedEvent says statusHistory[0].eventId is '{NOWHERE}'; order",
            "OrderPlacedEvent",
            {"eventId": NOWHERE, "occurredAt": "2999-01-01T00:00:00.000Z"},
        ),
        "made-up parcel": tell(
            "orderStatusUpdater",
            "EventContradictsOrder: FulfillmentCompletedEvent says fulfillment.trackingId is 'NW0'; order",
            "FulfillmentCompletedEvent",
            trackingId="NW0",
            carrier="Northwind Parcel",
        ),
        "made-up cancellation": tell(
            "paymentProcessing",
            "EventContradictsOrder: OrderCancelledEvent says cancellation.reason is 'customer_request'; order",
            "OrderCancelledEvent",
            reason="customer_request",
        ),
        "made-up refund": tell(
            "orderStatusUpdater",
            "EventContradictsOrder: PaymentRefundedEvent says payment.paymentId is 'p0'; order",
            "PaymentRefundedEvent",
            paymentId="p0",
            refundId="r0",
        ),
        "malformed": tell(
            "paymentProcessing",
            "MalformedEvent: OrderPlacedEvent: data.totalAmount: Input should be a valid integer",
            "OrderPlacedEvent",
            totalAmount="2800",
        ),
    }


def test_false_events_disturb_nobody_else(anna: Shopper, lies: dict[str, Lie]) -> None:
    assert lies
    assert anna.ended_order()["status"] == "FULFILLED"


@pytest.mark.parametrize("kind", ["unknown order", "other amount", "another event", "made-up parcel", "malformed"])
def test_a_false_event_ends_among_the_dead_letters_with_its_reason_in_the_log(
    cloud: Cloud, lies: dict[str, Lie], kind: str
) -> None:
    lie = lies[kind]
    [letter] = wait_for("dead letter", lambda: cloud.dead_letters(lie.event_id))
    assert (letter.function, letter.attempts) == (lie.function, 3)
    reasons = cloud.errors(lie.function, lie.event_id)
    assert len(reasons) == 3
    assert all(reason.startswith(lie.error) for reason in reasons)
    assert letter.reason in reasons[0]
    assert cloud.item(lie.order.order_id) == lie.item, "nothing changed"
    assert len(cloud.logged(lie.event_id)) == 1, "the audit log has it"


def test_a_made_up_parcel_tells_no_customer(cloud: Cloud, anna: Shopper, lies: dict[str, Lie]) -> None:
    lie = lies["made-up parcel"]
    wait_for("error in the log", lambda: cloud.errors("notification", lie.event_id))
    assert anna.inbox_of(lie.order.order_id) == []


def test_an_unknown_order_was_not_made(cloud: Cloud, lies: dict[str, Lie]) -> None:
    wait_for("dead letter", lambda: cloud.dead_letters(lies["unknown order"].event_id))
    assert cloud.item(NOWHERE) is None


# --- permissions ------------------------------------------------------------------------------------------------------


def test_a_role_without_one_of_its_permissions_stops_the_flow_until_it_is_back(
    cloud: Cloud, anna: Shopper, open_order: OpenOrder
) -> None:
    # given
    with cloud.without("dynamodb:UpdateItem", "FulfillmentRole"):
        # when
        _place(cloud, open_order.placed)

        # then
        def refusals() -> list[str]:
            return [line for line in cloud.log("fulfillment", open_order.order_id) if "AccessDenied" in line]

        wait_for("refusal in the log", refusals)
        stuck = wait_for("payment", lambda: anna.order(open_order.order_id), lambda order: order["status"] == "PAID")
        assert "fulfillment" not in stuck

    # and when
    _place(cloud, open_order.placed)

    # then
    assert anna.ended(open_order.order_id)["status"] == "FULFILLED"


# --- replay -----------------------------------------------------------------------------------------------------------


def test_a_replay_of_the_archive_starts_nothing_new_on_a_closed_order_and_is_not_logged_again(
    cloud: Cloud, anna: Shopper
) -> None:
    # given
    began = datetime.now(UTC)
    order = anna.ended_order()
    trail = wait_for("trail", lambda: anna.trail(order["orderId"]), lambda trail: len(trail) == 3)
    item = cloud.item(order["orderId"])
    steps = {"paymentProcessing": 1, "fulfillment": 1, "orderStatusUpdater": 2, "notification": 1}
    before = {function: cloud.invocations(function) for function in steps}

    # when
    events = cloud.client("events")
    archive = events.describe_archive(ArchiveName=cloud.stack["EventArchiveName"])
    events.start_replay(
        ReplayName=f"replay-{uuid4()}",
        EventSourceArn=archive["ArchiveArn"],
        EventStartTime=began - timedelta(seconds=1),
        EventEndTime=datetime.now(UTC) + timedelta(seconds=1),
        Destination={"Arn": archive["EventSourceArn"]},
    )
    wait_for(
        "replayed deliveries",
        lambda: {function: cloud.invocations(function) - count for function, count in before.items()},
        lambda delivered: all(delivered[function] >= count for function, count in steps.items()),
    )

    # then
    assert cloud.item(order["orderId"]) == item
    assert anna.trail(order["orderId"]) == trail
    assert len(anna.inbox_of(order["orderId"])) == 1
