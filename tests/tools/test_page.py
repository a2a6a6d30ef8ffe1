"""The storefront's picture and timeline come from the topology, and say the same as the timeline in the terminal."""

import json
import re
import subprocess
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from handlers.responses import OrderResponse
from local.terminal.timeline import OrderView, awaited, lines
from orders.model import Order, OrderRequest, Status
from tests.tools.page import in_the_page
from tools import flow, topology
from tools.checkout import ROOT

NAMED = {"auditLogger", "orderFeed", "orderStatusUpdater", "notification"}
"""The functions that choreography.js names, for what they do besides publishing events."""

ORDERS = sorted((ROOT / "tests" / "recorded" / "v1" / "orders").glob("*.json"))

STEPS = "new page.Choreography(v[0]).steps(v[1], v[2], v[3] ?? null)"
AWAITED = "new page.Choreography(v[0]).awaited(v[1], v[2])"


def recorded(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    answers = json.loads((ROOT / "tests" / "local" / "recorded" / f"{name}.json").read_text())
    return answers["order"], answers["events"]


def with_consumers(*names: str) -> dict[str, Any]:
    """The flow of events with more consumers of PaymentCompletedEvent, which publish nothing."""
    described = flow.described()
    described["functions"] |= {name: {"kind": "bus", "writesOrders": False} for name in names}
    described["consumers"]["PaymentCompletedEvent"] += names
    return described


def boxes(described: dict[str, Any], *, narrow: bool) -> tuple[list[int], dict[str, list[float]]]:
    """The size of the picture, and node → centre, width and height."""
    layout = "page.layoutOf(new (await import('./web/choreography.js')).Choreography(v[0]), v[1])"
    expression = f"(({{ size, nodes }}) => [size, [...nodes].map(([name, {{ box }}]) => [name, box])])({layout})"
    size, found = in_the_page("layout.js", expression, described, narrow)
    return size, dict(found)


def overlap(one: list[float], other: list[float]) -> bool:
    (x1, y1, w1, h1), (x2, y2, w2, h2) = one, other
    return abs(x1 - x2) < (w1 + w2) / 2 and abs(y1 - y2) < (h1 + h2) / 2


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "phone"])
@pytest.mark.parametrize("more", [(), ("loyalty",), ("loyalty", "fraudDetection", "customerRecommendations")])
def test_each_function_has_its_place_in_the_picture_and_no_two_parts_overlap(
    more: tuple[str, ...], narrow: bool
) -> None:
    (width, height), found = boxes(with_consumers(*more), narrow=narrow)

    assert found.keys() >= {*topology.functions(), *more}
    assert [pair for pair in combinations(found, 2) if overlap(found[pair[0]], found[pair[1]])] == []
    assert width == 360 or not narrow
    for x, y, w, h in found.values():
        assert w / 2 <= x <= width - w / 2
        assert h / 2 <= y <= height - h / 2


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "phone"])
def test_where_the_storefront_is_not_deployed_the_picture_is_without_its_feed(narrow: bool) -> None:
    described = flow.described()
    _, whole = boxes(described, narrow=narrow)
    del described["functions"]["orderFeed"]

    assert boxes(described, narrow=narrow)[1].keys() == whole.keys() - {"orderFeed"}


@pytest.mark.parametrize("events", range(5))
@pytest.mark.parametrize("name", ["approved", "declined", "refunded", "voided"])
def test_the_page_and_the_terminal_tell_the_same_of_an_order(name: str, events: int) -> None:
    order, trail = recorded(name)
    trail = trail[:events]

    found = in_the_page("choreography.js", STEPS, flow.described(), order, trail)

    assert [(step["after"], step["title"].split()[0]) for step in found] == [
        (line.milliseconds, line.function) for line in lines(OrderView(order, trail))
    ]


@pytest.mark.parametrize(
    "without",
    [
        ("cancellation", "refund", "notification"),
        ("refund", "notification"),
        ("refund",),
        ("notification",),
        (),
    ],
)
def test_the_page_and_the_terminal_wait_for_the_same_functions(without: tuple[str, ...]) -> None:
    """Of a refunded order, however many of its events are logged and however far its status has come."""
    order, trail = recorded("refunded")
    known = {name: order[name] for name in order.keys() - set(without)}
    histories = [order["statusHistory"][:statuses] for statuses in range(1, 5)]
    orders = [{**known, "status": history[-1]["status"], "statusHistory": history} for history in histories]
    moments = [OrderView(each, trail[:events]) for each in orders for events in range(1, 5)]

    each = "v.slice(1).map(([order, events]) => new page.Choreography(v[0]).awaited(order, events))"
    found = in_the_page("choreography.js", each, flow.described(), *moments)

    assert [{topology.title(name) for name in names} for names in found] == [
        {*awaited(moment)} - {"AuditLogger"} for moment in moments
    ]


@pytest.mark.parametrize("stored", ORDERS, ids=lambda path: path.stem)
def test_the_page_offers_the_cancellation_and_sees_the_end_where_the_order_s_model_does(stored: Path) -> None:
    order = Order.model_validate_json(stored.read_text())
    shown = OrderResponse.model_validate(order).model_dump(mode="json")

    assert in_the_page("cancellation.js", "page.isPossible(v[0])", shown) == order.can_be_cancelled
    assert in_the_page("choreography.js", "page.isOver(v[0])", shown) == (not order.is_open)


@pytest.mark.parametrize("name", ["approved", "declined", "refunded", "voided"])
def test_the_page_sees_that_an_order_has_ended_and_that_its_customer_is_not_notified_yet(name: str) -> None:
    order, _ = recorded(name)
    untold = {key: order[key] for key in order if key != "notification"}

    assert in_the_page("choreography.js", "v.map(page.isOver)", order, untold) == [True, False]


def test_a_voided_payment_is_a_step_without_a_time_on_the_path_of_its_cause() -> None:
    order, trail = recorded("voided")

    steps = in_the_page("choreography.js", STEPS, flow.described(), order, trail)

    [(position, void)] = [(n, step) for n, step in enumerate(steps) if step["title"].endswith("voids the payment")]
    assert steps[position - 1]["title"] == "OrderService publishes OrderCancelledEvent"
    assert void["path"] == ["bus", "paymentProcessing", "orders"]
    assert void["proof"] == {"payment": {"status": "VOIDED"}}
    assert in_the_page("words.js", "v.map(page.when)", *steps[position - 1 : position + 2]) == ["+21 ms", "", "+64 ms"]


def test_a_refund_lights_the_path_from_the_request_to_the_refund() -> None:
    steps = in_the_page("choreography.js", STEPS, flow.described(), *recorded("refunded"))

    paths = {step["title"]: step["path"] for step in steps}
    logged = ["bus", "auditLogger", "auditLog"]
    assert paths["OrderService publishes OrderCancelledEvent"] == [
        "customer", "api", "orderService", "orders", "orderService", *logged,
    ]  # fmt: skip
    assert paths["PaymentProcessing publishes PaymentRefundedEvent"] == [
        "bus", "paymentProcessing", "orders", "paymentProcessing", *logged,
    ]  # fmt: skip
    for status in ("CANCELLED", "REFUNDED"):
        assert paths[f"OrderStatusUpdater moves the status: {status}"] == ["bus", "orderStatusUpdater", "orders"]
    [notified] = [step for step in steps if step["title"] == "Notification sends the e-mail"]
    assert notified["hop"]["from"] == "OrderCancelledEvent"


def test_the_reconciler_s_own_cancellation_is_not_called_a_repetition() -> None:
    order, (placed, cancelled) = recorded("voided")
    first = {**cancelled, "attempt": 3, "data": {**cancelled["data"], "reason": "timed_out"}}
    second = {**first, "eventId": "again", "attempt": 4}

    steps = in_the_page("choreography.js", STEPS, flow.described(), order, [placed, first, second])

    told = {step["title"]: step for step in steps}
    assert told["Reconciler publishes OrderCancelledEvent"]["meaning"].endswith(
        "the reconciler cancelled it. It will not be shipped."
    )
    assert told["Reconciler publishes OrderCancelledEvent"]["path"] == ["reconciler", "bus", "auditLogger", "auditLog"]
    assert "attempt 4" in told["Reconciler publishes OrderCancelledEvent again"]["meaning"]
    assert in_the_page(
        "choreography.js",
        "[page.republished(v.slice(0, 2)) ?? null, page.republished(v).attempt]",
        placed,
        first,
        second,
    ) == [None, 4]


def attempt(number: int, at: str, function: str = "paymentProcessing") -> dict[str, Any]:
    event = {"eventId": "e", "eventType": "OrderPlacedEvent"}
    reason = "GatewayUnavailable: the payment gateway does not respond"
    return {**event, "function": function, "attempt": number, "of": 3, "at": at, "reason": reason}


def dead_letter(seen: str, gone: str | None = None, *, redriven: bool | None = None) -> dict[str, Any]:
    event = {"eventId": "e", "eventType": "OrderPlacedEvent", "reason": "retries used up"}
    return {**event, "function": "paymentProcessing", "seenAt": seen, "goneAt": gone, "redriven": redriven}


def rescued(order: dict[str, Any], *letters: dict[str, Any], attempts: int = 3) -> dict[str, Any]:
    placed_at = order["placedAt"]
    return {
        "attempts": [attempt(n + 1, placed_at) for n in range(attempts)],
        "deadLetters": list(letters),
        "logged": {},
        "dueAt": None,
    }


def test_failed_attempts_a_dead_letter_and_its_redrive_are_steps_on_their_paths() -> None:
    order, trail = recorded("approved")
    seen = rescued(order, dead_letter(order["placedAt"], order["placedAt"], redriven=True))

    steps = in_the_page("choreography.js", STEPS, flow.described(), order, trail[:1], seen)

    rescue = {step["headline"]: (step["actor"], step["path"], step["title"]) for step in steps if "hop" in step}
    fails = ("paymentProcessing", ["bus", "paymentProcessing"], "PaymentProcessing fails on OrderPlacedEvent")
    for number in (1, 2, 3):
        assert rescue[f"✗ Attempt {number} of 3 failed"] == fails
    assert rescue["✉ Kept as a dead letter"][:2] == ("deadLetters", ["paymentProcessing", "deadLetters"])
    assert rescue["↩ Redriven"][:2] == ("deadLetters", ["deadLetters", "paymentProcessing"])


def test_a_message_fails_on_the_way_through_its_queue() -> None:
    order, trail = recorded("approved")
    seen = {**rescued(order), "attempts": [attempt(1, order["placedAt"], "notification")]}

    steps = in_the_page("choreography.js", STEPS, flow.described(), order, trail, seen)

    [failed] = [step for step in steps if step.get("attempt")]
    assert failed["path"] == ["bus", "notificationTopic", "notificationQueue", "notification"]


@pytest.mark.parametrize(
    ("redriven", "headline", "path"),
    [
        (True, "↩ Redriven", ["deadLetters", "paymentProcessing"]),
        (None, "The dead letter is gone", ["deadLetters"]),
        (False, "The dead letter is gone", ["deadLetters"]),
    ],
)
def test_a_dead_letter_that_is_gone_is_called_redriven_only_by_evidence(
    redriven: bool | None, headline: str, path: list[str]
) -> None:
    order, trail = recorded("approved")
    seen = rescued(order, dead_letter(order["placedAt"], order["placedAt"], redriven=redriven))

    steps = in_the_page("choreography.js", STEPS, flow.described(), order, trail[:1], seen)

    assert (steps[-1]["headline"], steps[-1]["path"]) == (headline, path)


@pytest.mark.parametrize(
    ("after", "number", "letters"),
    [
        ([], 3, 0),
        (["kept"], 3, 1),
        (["kept", "redriven"], None, 0),
        (["kept", "redriven", "kept"], None, 1),
        (["kept", "gone"], 3, 0),
        (["published again"], None, 0),
    ],
)
def test_a_function_has_failed_until_it_gets_its_event_again(
    after: list[str], number: int | None, letters: int
) -> None:
    function = "paymentProcessing"
    steps = {
        "kept": {"actor": "deadLetters", "path": [function, "deadLetters"], "kept": 1},
        "redriven": {"actor": "deadLetters", "path": ["deadLetters", function], "kept": -1},
        "gone": {"actor": "deadLetters", "path": ["deadLetters"], "kept": -1},
        "published again": {"actor": "reconciler", "path": ["reconciler", "bus"], "repeatedAt": [function]},
    }
    failed = {"actor": function, "path": ["bus", function], "attempt": attempt(3, "")}
    seen = [failed, *(steps[name] for name in after)]

    found, kept = in_the_page("rescue.js", "[page.failures(v[0]), page.deadLettersAfter(v[0])]", seen)

    assert [(name, each["attempt"]) for name, each in found] == ([(function, number)] if number else [])
    assert kept == letters


@pytest.mark.parametrize(
    ("name", "charge"),
    [("approved", "the card was charged once"), ("declined", "nothing is charged"), ("refunded", "and refunded once")],
)
def test_a_duplicate_is_numbered_at_its_consumers_and_says_what_was_charged(name: str, charge: str) -> None:
    order, trail = recorded(name)
    duplicate = {**trail[0], "eventId": "again"}
    logged = {trail[0]["eventId"]: order["placedAt"], "again": "2999-01-01T00:00:00.000Z"}
    later = {**rescued(order, attempts=0), "logged": logged}

    for listed in ([*trail, duplicate], [duplicate, *trail]):  # events of one time come in any order
        step = in_the_page("choreography.js", STEPS, flow.described(), order, listed, later)[-1]
        assert step["headline"] == "Duplicate: order placed"
        assert step["repeatedAt"] == ["paymentProcessing"]
        assert ["bus", "paymentProcessing"] in step["branches"]
        assert charge in step["meaning"]


def test_when_a_duplicate_came_is_known_from_the_operator_s_view_alone() -> None:
    order, trail = recorded("approved")
    events = [*trail, {**trail[0], "eventId": "again"}]

    without = in_the_page("choreography.js", STEPS, flow.described(), order, events)

    [duplicate] = [step for step in without if step.get("again")]
    assert in_the_page("words.js", "page.when(v[0])", duplicate) == "again"


def test_each_event_reaches_the_page_through_the_order_feed() -> None:
    steps = in_the_page("choreography.js", STEPS, flow.described(), *recorded("approved"))

    fed = [step["title"] for step in steps if ["bus", "orderFeed", "customer"] in step.get("branches", [])]
    assert fed == [step["title"] for step in steps if " publishes " in step["title"]]
    assert len(fed) == 3


def test_each_event_of_the_choreography_has_a_headline_that_is_no_name_of_a_type() -> None:
    order, trail = recorded("approved")
    events = [{**trail[0], "eventId": name, "domainEventId": name, "eventType": name} for name in flow.consumers()]

    steps = in_the_page("choreography.js", STEPS, flow.described(), order, events)

    assert len({step["headline"] for step in steps}) == len(steps)
    assert [step["headline"] for step in steps if step["headline"].endswith("Event")] == []


def test_each_status_has_its_words() -> None:
    assert {*in_the_page("words.js", "Object.keys(page.STATUSES)")} == {*get_args(Status)}


def test_an_order_that_has_just_been_paid_waits_for_the_consumers_that_leave_evidence() -> None:
    order, trail = recorded("approved")
    paid = {name: order[name] for name in order.keys() - {"fulfillment", "notification"}}
    paid |= {"status": "PLACED", "statusHistory": order["statusHistory"][:1]}
    described = with_consumers("loyalty")

    found = in_the_page("choreography.js", AWAITED, described, paid, trail[:2])

    assert found == ["fulfillment", "orderStatusUpdater"]


def test_an_event_that_the_page_does_not_know_is_shown_with_its_publisher_and_its_consumers() -> None:
    order, trail = recorded("approved")
    described = with_consumers("loyalty")
    described["publishers"]["order-processing.loyalty"] = ["loyalty"]
    described["consumers"]["PointsEarnedEvent"] = ["fulfillment", "auditLogger"]
    earned = {**trail[1], "eventId": "a", "domainEventId": "b", "eventType": "PointsEarnedEvent"}
    events = [
        *trail,
        {**earned, "source": "order-processing.loyalty"},
        {**earned, "domainEventId": "c", "source": "forged"},
    ]

    steps = in_the_page("choreography.js", STEPS, described, order, events)

    known, forged = (step for step in steps if "PointsEarnedEvent" in step["title"])
    assert (known["title"], known["meaning"]) == ("Loyalty publishes PointsEarnedEvent", "Its consumers: Fulfillment.")
    assert known["path"] == ["bus", "loyalty", "bus", "auditLogger", "auditLog"]
    assert forged["title"] == "An unknown publisher, forged, publishes PointsEarnedEvent"
    assert forged["path"] == ["bus", "auditLogger", "auditLog"]


def test_the_page_names_no_function_but_those_that_leave_more_than_events() -> None:
    scripts = "".join(path.read_text() for path in (ROOT / "web").rglob("*.js"))

    named = {name for name in topology.functions() if f"'{name}'" in scripts or f" {name}:" in scripts}
    assert named == NAMED


@pytest.mark.parametrize(
    ("minor_units", "currency", "language", "written"),
    [
        (1890, "EUR", "en", "€18.90"),
        (1890, "EUR", "de", "18,90 €"),
        (0, "EUR", "en", "€0.00"),
        (1890, "JPY", "en", "¥1,890"),
        (1890, "KWD", "en", "KWD 1.890"),
    ],
)
def test_an_amount_is_written_as_people_do_in_the_page_s_language(
    minor_units: int, currency: str, language: str, written: str
) -> None:
    found = in_the_page("words.js", "page.money(...v)", minor_units, currency, language)
    assert found.replace("\N{NO-BREAK SPACE}", " ") == written


def test_the_cart_has_the_limits_of_the_api() -> None:
    limits = in_the_page("session.js", "[page.LARGEST_QUANTITY, page.MOST_LINES]")

    line = {"sku": "MUG", "quantity": limits[0]}
    lines = [{"sku": f"MUG-{n}", "quantity": 1} for n in range(limits[1])]
    ordered = {"paymentMethod": "tok_visa"}
    OrderRequest.model_validate({**ordered, "items": [line]})
    OrderRequest.model_validate({**ordered, "items": lines})
    for too_much in ([{**line, "quantity": limits[0] + 1}], [*lines, {"sku": "MUG", "quantity": 1}]):
        with pytest.raises(ValidationError):
            OrderRequest.model_validate({**ordered, "items": too_much})


@pytest.mark.parametrize(
    ("in_cart", "sku", "word"),
    [
        ({}, "MUG", None),
        ({"MUG": 999}, "MUG", None),
        ({"MUG": 1000}, "MUG", "1,000 is the most of one product in an order."),
        ({f"MUG-{n}": 1 for n in range(50)}, "MUG", "An order has at most 50 products."),
        ({f"MUG-{n}": 1 for n in range(50)}, "MUG-7", None),
    ],
    ids=["the first", "the last that fits", "one too many", "one product too many", "one more of a full cart's"],
)
def test_the_cart_refuses_in_words_what_the_api_would_refuse(
    in_cart: dict[str, int], sku: str, word: str | None
) -> None:
    assert in_the_page("session.js", "page.refusalOf(...v)", in_cart, sku) == word


@pytest.mark.parametrize(
    ("password", "lacks"),
    [
        ("Secret-password-1", None),
        ("Secret password 1", None),
        ("secret-1", "an upper-case letter"),
        ("SECRET-1", "a lower-case letter"),
        ("Secret-x", "a number"),
        ("Secret123", "a symbol, like ! or -"),
        (" Secret123 ", "a symbol, like ! or -"),
        ("Sec-1", "at least 8 characters"),
        ("Ünsäfe-€", "an upper-case letter and a number"),
    ],
)
def test_a_password_is_told_what_cognito_s_rule_asks_for(password: str, lacks: str | None) -> None:
    expected = lacks and f"The password still needs {lacks}."
    assert in_the_page("password.js", "page.weakness(v[0])", password) == expected


def test_the_pool_has_the_rule_that_the_page_tells() -> None:
    """Cognito's default policy: none is set."""
    assert "PasswordPolicy" not in (ROOT / "resources" / "identity.yml").read_text()


def test_the_hero_s_events_lead_from_each_step_to_the_next() -> None:
    events = [event for _, _, event, _ in in_the_page("hero.js", "page.STEPS")]

    assert events.pop() is None
    for event, following in pairwise(events):
        assert any(following in flow.publishes(consumer) for consumer in flow.consumers()[event])
    assert "notification" in flow.consumers()[events[-1]]


def test_the_page_s_text_has_one_scale_of_sizes() -> None:
    """Sizes in pixels are units of the picture's own view box."""
    style = (ROOT / "web" / "style.css").read_text()
    sizes = set(re.findall(r"font(?:-size)?: ([^;]+?)(?:/[^;]*)?;", style))

    assert {size for size in sizes if not size.endswith("px") and size != "inherit"} == {
        f"var(--text-{name})" for name in ("xs", "s", "m", "l", "xl")
    }


@pytest.mark.parametrize("module", sorted((ROOT / "web").rglob("*.js")), ids=lambda path: path.name)
def test_each_module_of_the_page_is_javascript(module: Path) -> None:
    checked = subprocess.run(
        ["node", "--input-type=module", "--check"], input=module.read_text(), capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
