"""Lab 14.1: the reader's state machine, judged by what its executions did under faults."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from notebooks.labs.verdict import Verdict
from notebooks.orchestration import evidence
from notebooks.orchestration.workshop import TOTAL_AMOUNT, Execution, Workshop

_SECONDS = 45


class Case(NamedTuple):
    """One order of the lab, and what must have come of it."""

    story: str
    payment_method: str
    faults: Sequence[str]
    effects: Mapping[str, Any]


_SHIPPED = {"charges": 1, "charged": TOTAL_AMOUNT, "refunded": 0, "shipped": True, "mails": 1}
_NOTHING = {"charges": 0, "charged": 0, "refunded": 0, "shipped": False, "mails": 1}
_GIVEN_BACK = {"charges": 1, "charged": TOTAL_AMOUNT, "refunded": TOTAL_AMOUNT, "shipped": False, "mails": 1}

CASES = (
    Case("no fault", "tok_visa", (), _SHIPPED),
    Case("a declined card", "tok_declined", (), _NOTHING),
    Case("the gateway is down for two calls", "tok_visa", ("down",) * 2, _SHIPPED),
    Case("the gateway stays down", "tok_visa", ("down",) * 20, _NOTHING),
    Case("the card is charged, and each response is lost", "tok_visa", ("no response",) * 20, _GIVEN_BACK),
)


def safe_payment(shop: Workshop, states: Any) -> Verdict:
    """Start an execution for each case, and judge what came of them; the hint is about the first that went wrong."""
    if not isinstance(states, Mapping):
        return Verdict(False, "pass the workshop and the states of your state machine, including `Take payment`.")
    machine = shop.machine("lab", states)
    started = [(case, shop.start(machine, shop.order(case.payment_method, case.faults))) for case in CASES]
    ended = [(case, shop.follow(execution, seconds=_SECONDS)) for case, execution in started]
    for case, execution in ended:
        if hint := judge(case, execution, shop.effects(execution.order_id)):
            return Verdict(False, f"{case.story}: {hint}")
    return Verdict(True, f"{len(CASES)} orders ended, and nobody paid twice or for nothing.")


def judge(case: Case, execution: Execution, effects: Mapping[str, Any]) -> str | None:
    """What is wrong with an execution, from its history and from what it left in the table; None if nothing is."""
    states = " → ".join(evidence.path(execution.events))
    if execution.status == "RUNNING":
        return f"it is still running after {_SECONDS} seconds ({states}); try less often, or with shorter intervals."
    if effects["charges"] > 1:
        return f"the card was charged {effects['charges']} times; each attempt needs the same idempotency key."
    if effects["charged"] > effects["refunded"] and not effects["shipped"]:
        return (
            f"the customer has paid and gets nothing ({states}). A lost response doesn't mean that no money moved:"
            " which state takes care of that?"
        )
    if execution.status != "SUCCEEDED":
        tried = len(evidence.attempts(execution.events, "Take payment"))
        return (
            f"the execution has {execution.status}, after {tried} attempt{'s' if tried > 1 else ''} to charge the card."
            " `Retry` says which errors to retry, and `Catch` says which state is next when that doesn't help."
        )
    if effects["mails"] != case.effects["mails"]:
        return f"the customer got {effects['mails']} e-mails ({states}); it should be one, whatever happened."
    if effects != case.effects:
        return f"it ended with {dict(effects)} ({states}), but should have ended with {dict(case.effects)}."
    return None
