"""The verdicts on the exercises, by number: each takes an answer and says whether it is right, with a hint."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


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


def _facts(answer: Any) -> Verdict:
    rows = [{"domainEventId": name} for name in ("a", "b", "a", "c", "b", "a")]
    if answer(rows) == 3:
        return Verdict(True, "Six publications, three facts.")
    return Verdict(False, f"For six rows with the ids a, b, a, c, b, a it says {answer(rows)}; three things happened.")


EXERCISES: Mapping[str, Callable[[Any], Verdict]] = {
    "1.1": _events_of_a_declined_order,
    "4.1": _facts,
    "5.1": _is(
        ["PLACED", "FULFILLED"],
        well_done="PAID is skipped: when the payment's event arrives, the order is further already.",
        hint="Go through the four events one by one: may the new status follow the present one?",
    ),
}
