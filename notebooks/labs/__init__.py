"""The labs, by number: each takes the reader's result, tries it on the running stack, and returns a verdict."""

from collections.abc import Callable, Mapping
from typing import Any

from notebooks.labs import audit, cancelling, flow, hunting, loyalty, operating, orchestrated, queues, versions, writes
from notebooks.labs.verdict import Verdict
from notebooks.showing import say

LABS: Mapping[str, Callable[..., Verdict]] = {
    "1.1": flow.declined_order,
    "2.1": flow.consumers,
    "3.1": flow.customer_of,
    "4.1": flow.large_orders,
    "5.1": writes.refund_once,
    "6.1": writes.parcel,
    "7.1": queues.batch_consumer,
    "8.1": audit.tampered_orders,
    "9.1": queues.worth_a_redrive,
    "10.1": writes.due_orders,
    "11.1": cancelling.cancelled_and_never_charged,
    "12.1": versions.reads_version_0,
    "13.1": loyalty.points_once,
    "13.2": loyalty.alarm_notifies,
    "14.1": orchestrated.safe_payment,
    "15.1": operating.safe_client,
    "16.1": operating.what_is_left,
    "17.1": hunting.accusation,
    "17.2": hunting.accusation,
}

verdicts: dict[str, Verdict] = {}
"""The last verdict on each lab."""


def check(lab: str, *result: Any) -> None:
    """Show the verdict on a lab, with a hint where something is missing. Never raises."""
    grade: Callable[..., Verdict] = LABS.get(lab, _no_such_lab)
    try:
        verdict = grade(*result)
    except Exception as error:  # noqa: BLE001 # a result may be anything, even something that can't be checked
        wanted = (grade.__doc__ or "").partition("\n")[0]
        verdict = Verdict(False, f"this could not be checked ({type(error).__name__}: {error}). It checks: {wanted}")
    verdicts[lab] = verdict
    say(f"{'✅' if verdict.right else '🤔'} **Lab {lab}:** {verdict.hint}")


def _no_such_lab(*_: Any) -> Verdict:
    return Verdict(False, f'there is no such lab. The labs are {", ".join(LABS)}, each a text such as `"1.1"`.')
