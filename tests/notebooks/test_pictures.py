"""Pictures show what the rows say and nothing else, and are good SVG with their text beside them."""

from base64 import b64decode
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from notebooks.pictures import Picture, sequence, timeline, topology, tree
from notebooks.pictures.svg import COLOURS, MAX_WIDTH

SVG = "{http://www.w3.org/2000/svg}"


def at(milliseconds: int) -> str:
    return f"2026-01-31T09:30:00.{milliseconds:03}Z"


def row(
    kind: str, source: str, milliseconds: int, fact: str, cause: str | None, attempt: int = 1, logged: int | None = None
) -> dict[str, Any]:
    return {
        "eventId": f"{fact}-{logged or milliseconds}",
        "eventType": kind,
        "source": f"order-processing.{source}",
        "timestamp": at(milliseconds),
        "loggedAt": at(milliseconds + 5 if logged is None else logged),
        "domainEventId": fact,
        "causationId": cause,
        "attempt": attempt,
    }


ROWS = [
    row("OrderPlacedEvent", "orders", 0, "placed", None),
    row("PaymentCompletedEvent", "payment", 20, "paid", "placed"),
    row("FulfillmentCompletedEvent", "fulfillment", 40, "sent", "paid"),
]
ORDER: dict[str, Any] = {
    "statusHistory": [
        {"status": "PLACED", "at": at(0), "eventId": "placed"},
        {"status": "PAID", "at": at(30), "eventId": "paid"},
        {"status": "FULFILLED", "at": at(50), "eventId": "sent"},
    ],
    "notification": {"channel": "email", "at": at(60)},
}


def arrows(picture: Picture, *, dashed: bool) -> int:
    lines = ElementTree.fromstring(picture.svg).iter(f"{SVG}line")
    classes = [line.get("class", "").split() for line in lines]
    return sum("line" in names and ("dashed" in names) == dashed for names in classes)


def labels(picture: Picture) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(picture.svg).iter(f"{SVG}text")]


def test_each_row_is_an_arrow_and_each_cause_a_dashed_one() -> None:
    picture = sequence(ROWS)

    assert (arrows(picture, dashed=False), arrows(picture, dashed=True)) == (3, 2)


@pytest.mark.parametrize("lost", range(3))
def test_without_its_row_an_arrow_is_gone_and_with_it_what_it_caused(lost: int) -> None:
    kept = ROWS[:lost] + ROWS[lost + 1 :]

    picture = sequence(kept)

    assert ROWS[lost]["eventType"] not in labels(picture)
    assert arrows(picture, dashed=False) == 2
    known = {each["domainEventId"] for each in kept}
    assert arrows(picture, dashed=True) == sum(each["causationId"] in known for each in kept)


def test_the_order_adds_its_statuses_and_its_notification() -> None:
    shown = ("PLACED", "PAID", "FULFILLED", "email sent")

    assert [label for label in labels(sequence(ROWS, ORDER)) if label in shown] == ["PAID", "FULFILLED", "email sent"]
    assert sorted(label for label in labels(tree(ROWS, ORDER)) if label in shown) == ["FULFILLED", "PAID", "email sent"]


def test_a_status_whose_event_is_in_no_row_is_not_shown() -> None:
    assert "FULFILLED" not in labels(sequence(ROWS[:2], ORDER))
    assert "FULFILLED" not in labels(tree(ROWS[:2], ORDER))


def test_the_picture_of_an_overtaken_payment_shows_the_overtaking() -> None:
    """The reader publishes the fulfilment before the payment: both occurred in the other order."""
    sent = row("FulfillmentCompletedEvent", "fulfillment", 40, "sent", "paid", logged=200)
    paid = row("PaymentCompletedEvent", "payment", 20, "paid", "placed", logged=300)
    order = {
        "statusHistory": [
            {"status": "PLACED", "at": at(0), "eventId": "placed"},
            {"status": "FULFILLED", "at": at(210), "eventId": "sent"},
        ]
    }

    picture = sequence([*ROWS, paid, sent], order, mine={paid["eventId"], sent["eventId"]})

    assert picture.text.removesuffix(".").split("; ")[3:] == [
        "+195 ms You: FulfillmentCompletedEvent ↻",
        "+205 ms OrderStatusUpdater: FULFILLED",
        "+295 ms You: PaymentCompletedEvent ↻",
    ]
    assert "You" in labels(picture)
    assert "Events as the audit log received them" in " ".join(labels(picture))


def test_an_effect_never_comes_before_its_cause() -> None:
    """AuditLogger may log an event later than its consumer reacts to it."""
    order = {"statusHistory": [*ORDER["statusHistory"][:1], {"status": "PAID", "at": at(22), "eventId": "paid"}]}

    said = sequence(ROWS, order).text

    assert said.index("PaymentCompletedEvent") < said.index("PAID")


def test_what_reaches_a_consumer_has_the_colour_of_its_cause() -> None:
    lines = ElementTree.fromstring(sequence(ROWS, ORDER).svg).iter(f"{SVG}line")
    dashed = [line.get("style", "") for line in lines if "dashed" in line.get("class", "")]

    kinds = ["OrderPlacedEvent", "PaymentCompletedEvent", "PaymentCompletedEvent"]
    assert dashed[:3] == [f"stroke:{COLOURS[kind]}" for kind in kinds]


def test_the_times_are_to_scale() -> None:
    picture = sequence([ROWS[0], {**ROWS[1], "loggedAt": at(105)}, {**ROWS[2], "loggedAt": at(905)}])

    first, second, third = [float(dot.get("cy", 0)) for dot in ElementTree.fromstring(picture.svg).iter(f"{SVG}circle")]
    assert (second - first) / (third - first) == pytest.approx(1 / 9, abs=0.02)


def test_a_picture_with_every_participant_fits_the_page() -> None:
    rows = [
        *ROWS,
        row("OrderPlacedEvent", "orders", 60, "placed", None, attempt=2),
        {**row("GreetingSentEvent", "x", 70, "greeting", None), "source": "workshop.somebody-elses-service"},
        row("PaymentCompletedEvent", "payment", 20, "paid", "placed", logged=80),
    ]
    picture = sequence(rows, ORDER, mine={rows[-1]["eventId"]})

    assert float(ElementTree.fromstring(picture.svg).get("width", 0)) <= MAX_WIDTH
    assert {"You", "Reconciler", "event bus"} <= set(labels(picture))


def test_an_event_that_was_published_again_is_the_reconcilers() -> None:
    assert "Reconciler" in labels(sequence([row("OrderPlacedEvent", "orders", 0, "placed", None, attempt=2)]))


def test_the_tree_hangs_each_fact_below_its_cause_and_counts_its_publications() -> None:
    picture = tree([*ROWS, {**ROWS[0], "attempt": 2}])

    assert picture.text == (
        "Tree of events. OrderPlacedEvent, placed  logged +0 ms, published 2 times ↻, level 0; "
        "PaymentCompletedEvent, paid  logged +20 ms, level 1; FulfillmentCompletedEvent, sent  logged +40 ms, level 2."
    )


def test_the_tree_shows_a_cause_that_is_missing() -> None:
    said = tree([ROWS[0], ROWS[2]]).text

    assert "missing, paid  a cause that is not in the log, level 0; FulfillmentCompletedEvent" in said


def test_the_timeline_says_each_moment() -> None:
    picture = timeline({"tried": [at(0), at(250), at(900)], "kept": []}, "Tries")

    assert picture.text == "Tries. tried: 0.00 s, 0.25 s, 0.90 s; kept: never."
    assert len(list(ElementTree.fromstring(picture.svg).iter(f"{SVG}circle"))) == 3


def test_the_topology_pales_what_has_not_fired() -> None:
    edges = [("A", "one"), ("B", "two"), ("one", "end")]

    def pale(picture: Picture) -> int:
        return picture.svg.count("line quiet")

    assert (pale(topology(edges)), pale(topology(edges, ["A"]))) == (0, 1)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: sequence(ROWS, ORDER),
        lambda: sequence([]),
        lambda: tree(ROWS),
        lambda: tree([]),
        lambda: timeline({"a <b>": [at(0)]}),
        lambda: topology([("a & b", "c")]),
    ],
)
def test_every_picture_is_well_formed_says_its_text_and_stays_inside_its_frame(draw: Callable[[], Picture]) -> None:
    picture = draw()
    root = ElementTree.fromstring(picture.svg)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))

    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == picture.text == picture._repr_mimebundle_()["text/plain"]
    for box in root.iter(f"{SVG}rect"):
        x, y = float(box.get("x", 0)), float(box.get("y", 0))
        assert x + float(box.get("width", 0)) <= width
        assert y + float(box.get("height", 0)) <= height
    for text in root.iter(f"{SVG}text"):
        ends = float(text.get("x", 0))
        if text.get("text-anchor") is None:
            ends += 5.5 * len(text.text or "")
        assert ends <= width
        assert float(text.get("y", 0)) <= height


def test_a_picture_is_an_image_that_needs_no_trust_and_says_what_it_shows() -> None:
    """JupyterLab's sanitizer keeps img with a data: URL; it drops svg, script and style elements."""
    picture = sequence(ROWS)
    html = picture._repr_mimebundle_()["text/html"]

    image = ElementTree.fromstring(html.removesuffix(">") + "/>")
    assert (image.tag, image.get("alt")) == ("img", picture.text)
    scheme, _, data = image.get("src", "").partition(",")
    assert scheme == "data:image/svg+xml;base64"
    assert b64decode(data).decode() == picture.svg
