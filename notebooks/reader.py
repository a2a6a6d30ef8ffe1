"""What a reader does with the stack: connect, become a customer, read what is stored, wait, publish, switch off."""

import atexit
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import boto3

from local.emulator.state import STATE_DIR_VARIABLE, State
from local.launcher import running
from local.terminal import timeline as evidence
from notebooks import own, pictures, switches
from notebooks.pictures import Picture
from notebooks.showing import say
from operations.customer import ShopAccount
from operations.dead_letters import DeadLetter, dead_letters, purge
from operations.envelope import envelope
from operations.stack import Stack, StackUnavailable, from_environment
from orders.aws.audit import AuditLogTable
from orders.aws.dynamodb import from_item, to_item
from tools.checkout import ROOT

if TYPE_CHECKING:
    from notebooks.canvas import Canvas

T = TypeVar("T")
PORT = 4566
_started = ExitStack()
_found: list[Stack] = []
_ended: list[dict[str, Any]] = []
_published: set[str] = set()
"""EventBridge's ids of the events that the notebook itself put on the bus: pictures draw them as the reader's."""


class TimedOut(AssertionError):
    """The condition didn't become true in time; the message says what was seen last."""


def connect() -> Stack:
    """Connect boto3 to the stack that STAGE and REGION name, by default the local one; start it if none is running."""
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
    session: Any = boto3.DEFAULT_SESSION
    session.events.register("after-call.events.PutEvents", _note_published)
    _found[:] = [stack]
    return stack


def customer() -> ShopAccount:
    """Sign a new customer up and in. The address is SES's mailbox simulator, or an alias of READER_EMAIL."""
    stack = the_stack()
    return ShopAccount(stack.client("cognito-idp"), stack.outputs, stack.api_url, _address())


def order(order_id: str) -> dict[str, Any]:
    """The order as the table Orders has it now."""
    return _item("OrdersTableName", orderId=order_id)


def ledger(order_id: str) -> dict[str, Any]:
    """Return the provider's ledger of an order: its `state`, and the numbers of `requests`, `charges` and `refunds`.

    For an order about which the provider was never called, the state is None and the numbers are 0.
    """
    row = _item("GatewayLedgerTableName", idempotencyKey=order_id)
    return {"state": row.get("state"), **{name: row.get(name, 0) for name in ("requests", "charges", "refunds")}}


def rows_of(order_id: str) -> list[dict[str, Any]]:
    """The order's rows of AuditLog, oldest first."""
    stack = the_stack()
    return AuditLogTable(stack.client("dynamodb"), stack.outputs["AuditLogTableName"]).trail(order_id)


def follow(
    order_id: str, seconds: float = 60, *, what: str | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Wait until the order has ended and its customer is notified; return the stored order and its rows of AuditLog.

    `what` names the order in the line that shows the progress. Raises LookupError if there is no such order, and
    TimedOut after that many seconds, with the functions that haven't reacted.
    """
    if not isinstance(order_id, str) or not order(order_id):
        raise LookupError(f"no order {order_id!r} is stored: pass the orderId of the response to POST /orders")
    seen: dict[str, Any] = {}

    def ended() -> bool:
        seen["order"], seen["rows"] = order(order_id), rows_of(order_id)
        return evidence.is_over(seen["order"], seen["rows"])

    wait_until(
        ended,
        what or f"the end of order {order_id[:8]}",
        seconds=seconds,
        last_seen=lambda: evidence.missing(seen["order"], seen["rows"]),
    )
    return seen["order"], seen["rows"]


def canvas(order_id: str) -> "Canvas":
    """The live picture of an order. Raises UnknownOrder."""
    from notebooks.canvas import live_canvas  # its packages take a while to load, and most notebooks have no canvas

    the_stack()
    return live_canvas(order_id)


def wait_until(
    condition: Callable[[], T], what: str, *, seconds: float = 60, last_seen: Callable[[], str] = lambda: ""
) -> T:
    """Wait for the condition and return its first true value; show how long it takes.

    Raises TimedOut after that many seconds, with what was seen last.
    """
    started, shown = time.monotonic(), uuid4().hex
    say(f"⏳ waiting for {what} …", display_id=shown)
    while not (value := condition()):
        passed = time.monotonic() - started
        if passed > seconds:
            say(f"✗ waited {passed:.0f} s for {what}, without success", display_id=shown, update=True)
            raise TimedOut(f"waited {passed:.0f} s for {what}, without success; {last_seen()}".removesuffix("; "))
        say(f"⏳ waiting for {what} … {passed:.0f} s", display_id=shown, update=True)
        time.sleep(0.2)
    say(f"✓ {what}, after {time.monotonic() - started:.1f} s", display_id=shown, update=True)
    return value


def publish(event: Mapping[str, Any], **changes: Any) -> str:
    """Publish a copy of a logged event, with the named changes to its `data`; return EventBridge's id of the copy.

    `event` is a row of AuditLog. Raises AssertionError if EventBridge refuses it.
    """
    events: Any = boto3.client("events")
    response = events.put_events(Entries=[_entry(event, **changes)])
    assert response["FailedEntryCount"] == 0, response["Entries"]
    return str(response["Entries"][0]["EventId"])


def rules_off(function: str) -> AbstractContextManager[None]:
    """`with tour.rules_off("fulfillment"):` no event reaches the function inside the block, or is kept for later."""
    return switches.rules_off(the_stack(), function, _harmless_events)


def gateway_down() -> AbstractContextManager[None]:
    """`with tour.gateway_down():` the simulated payment gateway is down inside the block."""
    return switches.gateway_down(the_stack())


def new_name() -> str:
    """Return a name for a resource of your own. Resources with such names are removed when the notebook ends."""
    return own.new_name(the_stack())


def remove_mine() -> None:
    """Remove every resource whose name comes from `new_name`."""
    own.remove(the_stack())


def rights_of(function: str) -> boto3.Session:
    """Return a boto3 session with the permissions of a function's role, and no others."""
    stack = the_stack()
    role, sts = own.role_like(stack, function), stack.client("sts")

    def credentials() -> Any:
        with suppress(sts.exceptions.ClientError):  # AWS has to distribute a new role first
            return sts.assume_role(RoleArn=role, RoleSessionName="reader")["Credentials"]

    keys = wait_until(credentials, f"a role with the permissions of {function}")
    return boto3.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=stack.session.region_name
    )


def dead_letter_of(order_id: str, seconds: float = 60) -> DeadLetter:
    """Wait until a dead letter of the order is in a dead-letter queue, take it out, and return it."""
    stack = the_stack()
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


def sequence(rows: Any, order: Mapping[str, Any] | None = None) -> Picture:
    """The sequence diagram of one order, in the order in which the audit log received its events."""
    return pictures.sequence(rows, order, mine=_published)


def tree(rows: Any, order: Mapping[str, Any] | None = None) -> Picture:
    """The tree of an order's events, each below its cause; if the order is given, also what each event led to."""
    return pictures.tree(rows, order)


def _address() -> str:
    """Return a new address for each customer. E-mail to AWS's mailbox simulator reaches nobody."""
    label = f"reader-{uuid4().hex[:8]}"
    name, _, host = os.environ.get("READER_EMAIL", "success@simulator.amazonses.com").partition("@")
    return f"{name}+{label}@{host}"


def _entry(event: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    detail = json.loads(json.dumps(event["detail"], default=int))
    detail["data"] |= changes
    bus = the_stack().outputs["EventBusName"]
    return {
        "EventBusName": bus,
        "Source": event["source"],
        "DetailType": event["eventType"],
        "Detail": json.dumps(detail),
    }


def _harmless_events() -> list[dict[str, Any]]:
    """The events of an order that has ended, as entries: their consumers find nothing left to do."""
    if not _ended:
        wish = {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"}
        placed = customer().post("/orders", wish)["orderId"]
        _, rows = follow(placed, what="an order whose events show whether a rule is on")
        _ended.extend(rows)
    return [_entry(row) for row in _ended]


def _note_published(parsed: Mapping[str, Any], **_: Any) -> None:
    _published.update(entry["EventId"] for entry in parsed.get("Entries", []) if "EventId" in entry)


def _item(output: str, **key: str) -> dict[str, Any]:
    stack = the_stack()
    response = stack.client("dynamodb").get_item(TableName=stack.outputs[output], Key=to_item(key), ConsistentRead=True)
    return from_item(response.get("Item", {}))


def the_stack() -> Stack:
    """The stack that the notebook is connected to."""
    return _found[0] if _found else connect()


@contextmanager
def _step(title: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"{title} … {time.monotonic() - started:.1f} s")
