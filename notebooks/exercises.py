"""The verdicts on the exercises, by number: each takes an answer and says whether it is right, with a hint."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import boto3


class Verdict(NamedTuple):
    right: bool
    hint: str


def _is(expected: Any, *, well_done: str, hint: str) -> Callable[[Any], Verdict]:
    """An exercise with one right answer."""
    return lambda answer: Verdict(True, well_done) if answer == expected else Verdict(False, hint)


def _events_of_a_declined_order(answer: Any) -> Verdict:
    if [row["eventType"] for row in answer or []] == ["OrderPlacedEvent", "PaymentFailedEvent"]:
        return Verdict(True, "Two events: nothing was shipped, since nothing published PaymentCompletedEvent.")
    return Verdict(False, "Order with `paymentMethod` `tok_declined`, follow it, and give me its rows of AuditLog.")


def _want_of_money(answer: Any) -> Verdict:
    def event(kind: str, data: Mapping[str, Any]) -> str:
        envelope = {"id": "1", "account": "1", "time": "2026-01-31T09:30:00Z", "region": "r", "resources": []}
        source = {"source": "order-processing.payment", "detail-type": kind, "detail": {"data": data}}
        return json.dumps({**envelope, **source})

    cases = {
        event("PaymentFailedEvent", {"reason": "insufficient_funds"}): True,
        event("PaymentFailedEvent", {"reason": "card_declined"}): False,
        event("PaymentCompletedEvent", {"totalAmount": 1}): False,
        event("NoteTakenEvent", {"reason": "insufficient_funds"}): False,
    }
    if not answer:
        return Verdict(False, "It has the event's own shape, with a list of what is wanted in place of a value.")
    ask = boto3.client("events").test_event_pattern
    for case, wanted in cases.items():
        if ask(EventPattern=json.dumps(answer), Event=case)["Result"] != wanted:
            return Verdict(False, f"It should {'' if wanted else 'not '}take {case}")
    return Verdict(True, "It takes that one kind, for that one reason.")


def _facts(answer: Any) -> Verdict:
    rows = [{"domainEventId": name} for name in ("a", "b", "a", "c", "b", "a")]
    if answer(rows) == 3:
        return Verdict(True, "Six publications, three facts.")
    return Verdict(False, f"For six rows with the ids a, b, a, c, b, a it says {answer(rows)}; three things happened.")


def _latency(answer: Any) -> Verdict:
    rows = [{"timestamp": f"2026-01-31T09:30:0{second}Z"} for second in ("1.250", "0.000", "0.900")]
    if answer(rows) == 1250:
        return Verdict(True, "Whatever order the rows come in.")
    return Verdict(False, f"For events at 1.250, 0.000 and 0.900 seconds it says {answer(rows)}; it should be 1250.")


def _retry_or_keep(answer: Any) -> Verdict:
    right = {
        "retry": {"GatewayUnavailable", "PublishFailed"},
        "keep": {"EventContradictsOrder", "MalformedEvent", "OrderNotFound"},
    }
    wrong = sorted(name for names in right.values() for name in names if not _sorted_alike(name, answer, right))
    if wrong:
        return Verdict(False, f"Think again of {', '.join(wrong)}: will the next try find anything changed?")
    return Verdict(
        True, "What may be over in a minute is retried; what will be the same in a year is kept for a person."
    )


def _sorted_alike(name: str, answer: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    return all((name in answer[kind]) == (name in right[kind]) for kind in right)


def _pause(answer: Any) -> Verdict:
    for attempt in (1, 2, 8, 9, 40):
        right = min(60 * 2**attempt, 6 * 60 * 60)
        if answer(attempt) != right:
            return Verdict(False, f"pause({attempt}) gives {answer(attempt)}; it should be {right}.")
    return Verdict(True, "Nine attempts in, the pause is six hours, and stays.")


def _reached(answer: Any) -> Verdict:
    """OrderFeed is there with the storefront alone, and so is its arrow."""
    if answer and set(answer) - {"orderFeed"} == {"orderStatusUpdater", "auditLogger"}:
        return Verdict(True, "And Notification hears of it by the topic and its queue.")
    return Verdict(False, "Follow the arrows from that event in the picture; a topic is no function.")


def _accusation(answer: Any) -> Verdict:
    """What `Hunt.accuse` returned: it has asked the evidence already."""
    return answer if isinstance(answer, Verdict) else Verdict(False, "Give me what `hunt.accuse(…)` returns.")


EXERCISES: Mapping[str, Callable[[Any], Verdict]] = {
    "1.1": _events_of_a_declined_order,
    "2.1": _reached,
    "3.1": _want_of_money,
    "4.1": _facts,
    "5.1": _is(
        ["PLACED", "FULFILLED"],
        well_done="PAID is skipped: when the payment's event arrives, the order is further already.",
        hint="Go through the four events one by one: may the new status follow the present one?",
    ),
    "6.1": _is(
        "two e-mails",
        well_done="SES can't be asked whether it sent. Better told twice than never.",
        hint="Nothing on the order says that it was sent. What will the next delivery find, once the claim is stale?",
    ),
    "7.1": _latency,
    "8.1": _retry_or_keep,
    "9.1": _pause,
    "10.1": _is(
        100.0,
        well_done="More than all the rest of the order.",
        hint="A million orders are a thousand times a thousand e-mails.",
    ),
    "11.1": _is(
        ("retainData", "prod"),
        well_done="So a slip of the finger removes functions, but no orders.",
        hint="The parameters stand at the top of serverless.yml, with their defaults for each stage.",
    ),
    "17.1": _accusation,
    "17.2": _accusation,
}
