"""What the notebooks use but don't teach: finding the stack, waiting, drawing, checking an exercise.

    stack = tour.connect()          the running stack, or a new one; from then on plain boto3 calls it
    customer = tour.customer()      a signed-in customer: customer.get(path), customer.post(path, body)
    order, rows = tour.follow(id)   wait until an order has ended; the order, and its rows of AuditLog
    tour.wait_until(condition, …)   wait for anything else
    tour.canvas(id)                 the storefront's picture of an order, live, with buttons that disturb it
    tour.dead_letter_of(id)         wait for a dead letter of an order, and take it out
    tour.envelope_of(row)           a row of AuditLog as the event that EventBridge delivered
    tour.source(function)           the code itself
    tour.check("1.1", answer)       the verdict on an exercise
    tour.sequence, tour.tree, tour.timeline, tour.topology   pictures, from evidence

STAGE=dev in the environment makes the same notebooks use a stack on AWS, in the region of serverless.yml or, with
REGION=eu-west-1, in another; AWS_PROFILE names the credentials.
"""

import atexit
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import boto3
from IPython.display import Markdown, display

_CHECKOUT = str(Path(__file__).resolve().parent.parent)
if _CHECKOUT not in sys.path:
    sys.path.insert(0, _CHECKOUT)  # the notebooks read the very code that is deployed

from local.emulator.state import STATE_DIR_VARIABLE, State  # noqa: E402
from local.launcher import running  # noqa: E402
from local.terminal import timeline as evidence  # noqa: E402
from notebooks.exercises import EXERCISES, Verdict  # noqa: E402
from notebooks.pictures import Picture, sequence, timeline, topology, tree  # noqa: E402
from operations.customer import ShopAccount  # noqa: E402
from operations.dead_letters import DeadLetter, dead_letters, purge  # noqa: E402
from operations.envelope import envelope  # noqa: E402
from operations.stack import Stack, StackUnavailable, from_environment  # noqa: E402
from orders.aws.audit import AuditLogTable  # noqa: E402
from orders.aws.dynamodb import from_item, to_item  # noqa: E402
from tools.checkout import ROOT  # noqa: E402

if TYPE_CHECKING:
    from notebooks.canvas import Canvas

__all__ = [
    "Picture",
    "canvas",
    "check",
    "connect",
    "customer",
    "dead_letter_of",
    "envelope_of",
    "follow",
    "rows_of",
    "sequence",
    "source",
    "timeline",
    "topology",
    "tree",
    "wait_until",
]
T = TypeVar("T")
PORT = 4566
_started = ExitStack()
_found: list[Stack] = []
verdicts: dict[str, Verdict] = {}
"""The last verdict on each exercise."""


class TimedOut(AssertionError):
    """The condition did not come true in time; the message says what was seen last."""


def connect() -> Stack:
    """The stack that STAGE and REGION name; else the local one, started if none runs. Plain boto3 then calls it."""
    os.environ.setdefault(STATE_DIR_VARIABLE, str(ROOT / ".local"))
    try:
        stack = from_environment()
    except StackUnavailable:
        if os.environ.get("STAGE", "local") != "local":
            raise
        _started.enter_context(running.stack(State(), PORT, step=_step))
        atexit.register(_started.close)
        stack = from_environment()
    os.environ["AWS_DEFAULT_REGION"] = stack.session.region_name
    if stack.endpoint_url:
        os.environ.pop("AWS_PROFILE", None)
        credentials: Any = stack.session.get_credentials()  # the local stack always has them
        os.environ.update(
            AWS_ENDPOINT_URL=stack.endpoint_url,
            AWS_ACCESS_KEY_ID=credentials.access_key,
            AWS_SECRET_ACCESS_KEY=credentials.secret_key,
        )
    boto3.setup_default_session()
    _found[:] = [stack]
    return stack


def customer() -> ShopAccount:
    """A new customer, signed up and in."""
    stack = _stack()
    email = f"reader-{uuid4().hex[:8]}@example.com"
    return ShopAccount(stack.client("cognito-idp"), stack.outputs, stack.api_url, email)


def rows_of(order_id: str) -> list[dict[str, Any]]:
    """The order's rows of AuditLog, oldest first."""
    stack = _stack()
    return AuditLogTable(stack.client("dynamodb"), stack.outputs["AuditLogTableName"]).trail(order_id)


def follow(order_id: str, seconds: float = 60) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Wait until the order has ended and the customer is notified; the order as stored, and its rows of AuditLog.

    Raises TimedOut after so many seconds, with the functions that have not reacted.
    """
    seen: dict[str, Any] = {}

    def ended() -> bool:
        seen["order"], seen["rows"] = _stored(order_id), rows_of(order_id)
        return evidence.is_over(seen["order"], seen["rows"])

    wait_until(
        ended,
        f"the end of order {order_id[:8]}",
        seconds=seconds,
        last_seen=lambda: evidence.missing(seen["order"], seen["rows"]),
    )
    return seen["order"], seen["rows"]


def wait_until(
    condition: Callable[[], T], what: str, *, seconds: float = 60, last_seen: Callable[[], str] = lambda: ""
) -> T:
    """Wait for the condition and return its first true value; show how long it takes.

    Raises TimedOut after so many seconds, with what was seen last.
    """
    started = time.monotonic()
    shown = display(Markdown(f"⏳ waiting for {what} …"), display_id=True)
    while not (value := condition()):
        passed = time.monotonic() - started
        if passed > seconds:
            shown.update(Markdown(f"✗ waited {passed:.0f} s for {what}, without success"))
            raise TimedOut(f"waited {passed:.0f} s for {what}, without success; {last_seen()}")
        shown.update(Markdown(f"⏳ waiting for {what} … {passed:.0f} s"))
        time.sleep(0.2)
    shown.update(Markdown(f"✓ {what}, after {time.monotonic() - started:.1f} s"))
    return value


def canvas(order_id: str) -> "Canvas":
    """The live picture of an order. Raises UnknownOrder."""
    from notebooks.canvas import live_canvas  # its packages take a while to load, and most notebooks have no canvas

    _stack()
    return live_canvas(order_id)


def dead_letter_of(order_id: str, seconds: float = 60) -> DeadLetter:
    """Wait until a dead letter of the order is in a dead-letter queue, take it out, and return it."""
    stack = _stack()
    [letter, *_] = wait_until(
        lambda: [letter for letter in dead_letters(stack) if letter.order_id == order_id],
        f"a dead letter of order {order_id[:8]}",
        seconds=seconds,
    )
    purge(stack, [letter])
    return letter


def envelope_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of AuditLog as the event that EventBridge delivered."""
    return envelope(row["eventType"], row["source"], row["detail"], event_id=row["eventId"], timestamp=row["timestamp"])


def source(thing: Any) -> None:
    """Show the code of a function, class or module, as deployed, and the path of its file."""
    file = Path(inspect.getsourcefile(thing) or "").relative_to(ROOT)
    display(Markdown(f"`{file}`\n```python\n{inspect.getsource(thing).rstrip()}\n```"))


def check(exercise: str, answer: Any) -> Verdict:
    """Show and return the verdict on an answer, with a hint if it is wrong. Never raises."""
    try:
        verdict = EXERCISES[exercise](answer)
    except Exception as error:  # noqa: BLE001 # an answer may be anything, also something that can't be checked
        verdict = Verdict(False, f"that could not be checked: {type(error).__name__}: {error}")
    verdicts[exercise] = verdict
    display(Markdown(f"{'✅' if verdict.right else '🤔'} **{exercise}** {verdict.hint}"))
    return verdict


def _stored(order_id: str) -> dict[str, Any]:
    stack = _stack()
    answer = stack.client("dynamodb").get_item(
        TableName=stack.outputs["OrdersTableName"], Key=to_item({"orderId": order_id}), ConsistentRead=True
    )
    return from_item(answer["Item"])


def _stack() -> Stack:
    return _found[0] if _found else connect()


@contextmanager
def _step(title: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"{title} … {time.monotonic() - started:.1f} s")
