"""Orders, and the faults around them: duplicates, a forged event, short outages, lost events, a race.

Nothing here depends on the bug: each level makes the same things happen to the same orders, and a system without a bug
copes with all of them.
"""

import json
import time
import urllib.error
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from local.emulator.waiting import until
from notebooks.bug_hunt.evidence import in_the_ledger, stored
from operations.customer import ShopAccount
from operations.outage import switch_gateway, without_events_for
from operations.repetition import detail_of
from operations.stack import Stack
from orders import clock
from orders.aws.audit import AuditLogTable
from orders.aws.store import OrdersTable
from orders.events import new_id
from orders.model import FINAL, Cancellation
from orders.ports import Due

_QUIET_SECONDS = 3
"""Once no function has logged for this long, all is done: Lambda's longest pause before a retry is two seconds.

On a slow machine the limit is the longest wait of the hunt so far, which includes cold starts.
"""

_TIMEOUT_SECONDS = 120
_LINES = [{"sku": "COFFEE-1KG", "quantity": 2}, {"sku": "FILTERS-100", "quantity": 1}]


class Orders(dict[str, str]):
    """The orders of a level: letter → order id. A notebook shows them as a table, with what was done to each."""

    def __init__(self) -> None:
        self._stories: dict[str, str] = {}

    def add(self, order_id: str, story: str) -> str:
        letter = chr(ord("A") + len(self))
        self[letter], self._stories[letter] = order_id, story
        return order_id

    def _repr_markdown_(self) -> str:
        lines = [
            f"| {letter} | `{order_id[:8]}` | {self._stories[letter]} |" for letter, order_id in sorted(self.items())
        ]
        return "\n".join(["| | order | what happened around it |", "|---|---|---|", *lines])


class Shop:
    """A customer who orders, and everything that can go wrong around an order."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._quiet_seconds: float = _QUIET_SECONDS
        self._logs = stack.client("logs")
        self._events = stack.client("events")
        dynamodb = stack.client("dynamodb")
        self._audit_log = AuditLogTable(dynamodb, stack.outputs["AuditLogTableName"])
        self._store = OrdersTable(dynamodb, stack.outputs["OrdersTableName"])
        self._customer = ShopAccount(
            stack.client("cognito-idp"), stack.outputs, stack.api_url, f"hunter-{uuid4().hex[:8]}@example.com"
        )

    # --- the customer ---------------------------------------------------------------------------------------------

    def order(self, payment_method: str = "tok_visa") -> str:
        """Place an order; its id."""
        return str(self._customer.post("/orders", {"items": _LINES, "paymentMethod": payment_method})["orderId"])

    def cancel(self, order_id: str) -> int:
        """Ask for the order's cancellation; the response's HTTP status."""
        try:
            self._customer.post(f"/orders/{order_id}/cancellation")
        except urllib.error.HTTPError as refusal:
            return refusal.code
        return 202

    # --- waiting --------------------------------------------------------------------------------------------------

    def until_over(self, *order_ids: str) -> None:
        """Wait until each order has had a final status, even if a bug changed it later, and its notification."""
        self._until(lambda: all(map(self._is_over, order_ids)), "the end of the orders")

    def until_quiet(self, *order_ids: str) -> None:
        """Wait until nothing happens any more or, if orders are given, until these are over."""
        logged, since = self._logged_bytes(), time.monotonic()

        def is_quiet() -> bool:
            nonlocal logged, since
            before, logged = logged, self._logged_bytes()
            since = since if logged == before else time.monotonic()
            is_over = bool(order_ids) and all(map(self._is_over, order_ids))
            return is_over or time.monotonic() - since > self._quiet_seconds

        until(is_quiet, seconds=_TIMEOUT_SECONDS, what="the end of all events")

    def until_paid(self, *order_ids: str) -> None:
        """Wait until the charge of each order is stored, and its event logged."""
        self._until(lambda: all(self._rows(each, "PaymentCompletedEvent") for each in order_ids), "the payments")

    def until_charged(self, order_id: str) -> None:
        """Wait until the provider has charged the card, whether or not the order shows it."""
        self._until(lambda: in_the_ledger(self._stack, order_id), "the charge")

    def until_first_failure(self, order_id: str) -> None:
        """Wait until PaymentProcessing has failed on the order once, because the gateway is down."""
        group = f"/aws/lambda/{self._stack.function('paymentProcessing')}"
        pattern = f'"{order_id}" "GatewayUnavailable"'
        self._until(
            lambda: self._logs.filter_log_events(logGroupName=group, filterPattern=pattern)["events"],
            "the first failed attempt",
        )

    def until_shipped(self, order_id: str) -> None:
        """Wait until the order has its final status."""
        self._until(lambda: stored(self._stack, order_id)["status"] == "FULFILLED", "the status FULFILLED")

    def _until(self, condition: Callable[[], Any], what: str) -> None:
        started = time.monotonic()
        until(condition, seconds=_TIMEOUT_SECONDS, what=what)
        self._quiet_seconds = max(self._quiet_seconds, time.monotonic() - started)

    def _is_over(self, order_id: str) -> bool:
        order = stored(self._stack, order_id)
        had = {change["status"] for change in order["statusHistory"]}
        return bool(FINAL & had) and "notification" in order

    def _rows(self, order_id: str, event_type: str) -> list[dict[str, Any]]:
        """The rows of AuditLog with this event of the order."""
        return [row for row in self._audit_log.trail(order_id) if row["eventType"] == event_type]

    def _logged_bytes(self) -> int:
        """How much all functions have logged: each invocation adds to it."""
        prefix = f"/aws/lambda/{self._stack.function('')}"
        groups = self._logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
        return sum(group["storedBytes"] for group in groups)

    # --- what goes wrong ------------------------------------------------------------------------------------------

    def deliver_again(self, order_id: str, event_type: str) -> None:
        """Put an event of the order on the bus once more, as it was."""
        self._put(order_id, event_type, as_type=event_type)

    def forge_payment(self, order_id: str) -> None:
        """Publish PaymentCompletedEvent for an order whose payment failed."""
        self._put(order_id, "PaymentFailedEvent", as_type="PaymentCompletedEvent")

    def _put(self, order_id: str, event_type: str, *, as_type: str) -> None:
        """Wait until an event of the order is logged, and publish it under this type."""
        until(lambda: self._rows(order_id, event_type), seconds=_TIMEOUT_SECONDS, what=event_type)
        [row, *_] = self._rows(order_id, event_type)
        entry = {"EventBusName": self._bus, "Source": row["source"], "DetailType": as_type}
        self._events.put_events(Entries=[{**entry, "Detail": json.dumps(detail_of(row))}])

    @contextmanager
    def gateway_down(self) -> Iterator[None]:
        switch_gateway(self._stack, "down")
        try:
            yield
        finally:
            switch_gateway(self._stack, "up")

    @contextmanager
    def payments_not_stored(self) -> Iterator[None]:
        """PaymentProcessing may charge, but not write to Orders: as if it crashed between the two."""
        iam = self._stack.client("iam")
        role = self._stack.client("cloudformation").describe_stack_resource(
            StackName=self._stack.name, LogicalResourceId="PaymentProcessingRole"
        )["StackResourceDetail"]["PhysicalResourceId"]
        [policy] = iam.list_role_policies(RoleName=role)["PolicyNames"]
        usual = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        reading = [_without_writing(statement) for statement in usual["Statement"]]

        def put(document: Mapping[str, Any]) -> None:
            iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))

        put({**usual, "Statement": reading})
        try:
            yield
        finally:
            put(usual)

    def nothing_shipped(self) -> AbstractContextManager[None]:
        """No event reaches Fulfillment."""
        return without_events_for(self._stack, "fulfillment")

    def nobody_notified(self) -> AbstractContextManager[None]:
        """No event reaches the topic that feeds Notification: events that are published meanwhile are lost to it."""
        return _without_rules_to(self._events, self._stack.outputs["OrderNotificationTopicArn"], self._bus)

    def nothing_reconciled(self) -> AbstractContextManager[None]:
        """The Reconciler runs only when it is invoked: by healing orders every minute, it would destroy evidence."""
        function = self._stack.function("reconciler")
        arn = self._stack.client("lambda").get_function_configuration(FunctionName=function)["FunctionArn"]
        return _without_rules_to(self._events, arn, "default")

    def cancel_without_publishing(self, order_id: str) -> None:
        """Store a cancellation, as OrderService does it, and crash before its event is published."""
        now = clock.timestamp(clock.now())
        order = self._store.get(order_id)
        cancellation = Cancellation(
            event_id=new_id(), occurred_at=now, reason="customer_request", request_id=f"crashed-{uuid4()}"
        )
        self._store.cancel(order_id, order.customer_id, cancellation, due_at=now)

    def make_due(self, order_id: str) -> None:
        """Make the order due now, if the Reconciler is still to look at it."""
        if due_at := stored(self._stack, order_id).get("dueAt"):
            self._store.reschedule(Due(due_at, order_id), clock.timestamp(clock.now() - timedelta(seconds=1)))

    def reconcile(self) -> None:
        """One run of the Reconciler."""
        self._stack.client("lambda").invoke(FunctionName=self._stack.function("reconciler"), Payload=b"{}")

    @property
    def _bus(self) -> str:
        return self._stack.outputs["EventBusName"]


def _without_writing(statement: Mapping[str, Any]) -> dict[str, Any]:
    """A policy statement that allows reading and writing orders, without the writing; any other one unchanged."""
    if set(statement["Action"]) != {"dynamodb:GetItem", "dynamodb:UpdateItem"}:
        return dict(statement)
    return {**statement, "Action": ["dynamodb:GetItem"]}


@contextmanager
def _without_rules_to(events: Any, target: str, bus: str) -> Iterator[None]:
    """Disable the rules to a target, and enable them again at the end."""
    rules = events.list_rule_names_by_target(TargetArn=target, EventBusName=bus)["RuleNames"]
    with ExitStack() as restoring:
        for rule in rules:
            restoring.callback(events.enable_rule, Name=rule, EventBusName=bus)
            events.disable_rule(Name=rule, EventBusName=bus)
        yield


# --- the levels -------------------------------------------------------------------------------------------------------


def an_ordinary_day(shop: Shop) -> Orders:
    """Level 1: an event may arrive twice, also after the order's end."""
    orders = Orders()
    paid = orders.add(shop.order(), "approved; once it had ended, `PaymentCompletedEvent` was delivered again")
    shop.until_over(paid)
    shipped = orders.add(shop.order(), "approved; once it had ended, `FulfillmentCompletedEvent` was delivered again")
    declined = orders.add(shop.order("tok_declined"), "declined by the bank")
    shop.until_over(shipped, declined)
    shop.deliver_again(paid, "PaymentCompletedEvent")
    shop.deliver_again(shipped, "FulfillmentCompletedEvent")
    shop.until_quiet()
    return orders


def a_bad_day(shop: Shop) -> Orders:
    """Level 2: a late customer, a forged event, a short outage, and a write that is refused."""
    orders = Orders()
    shipped = orders.add(shop.order(), "approved; its customer tried to cancel it after it was shipped, and got a 409")
    shop.until_over(shipped)
    shop.cancel(shipped)
    declined = orders.add(
        shop.order("tok_declined"), "declined by the bank; then somebody published a `PaymentCompletedEvent` for it"
    )
    shop.until_over(declined)
    shop.forge_payment(declined)
    with shop.payments_not_stored():
        unstored = orders.add(
            shop.order(), "during the first attempt at its payment, PaymentProcessing could not write to Orders"
        )
        shop.until_charged(unstored)
    shop.until_quiet(unstored)
    with shop.gateway_down():
        delayed = orders.add(
            shop.order(), "the payment gateway was down during the first attempt, and up again after it"
        )
        shop.until_first_failure(delayed)
    shop.until_quiet()
    return orders


def a_day_of_losses(shop: Shop) -> Orders:
    """Level 3: a race between cancelling and shipping, and events that were lost; the Reconciler runs once."""
    orders = Orders()
    with shop.nothing_shipped():
        raced = orders.add(
            shop.order(),
            "its customer cancelled it after the payment; `PaymentCompletedEvent` reached Fulfillment after that",
        )
        shop.until_paid(raced)
        shop.cancel(raced)
        unpublished = orders.add(
            shop.order(),
            "cancelled after the payment; OrderService crashed before publishing the event; then the Reconciler ran",
        )
        shop.until_paid(unpublished)
        shop.cancel_without_publishing(unpublished)
    with shop.nobody_notified():
        unnotified = orders.add(
            shop.order(),
            "approved; the event for Notification was lost before it reached the topic; then the Reconciler ran",
        )
        shop.until_shipped(unnotified)
    shop.deliver_again(raced, "PaymentCompletedEvent")
    shop.make_due(unnotified)
    shop.reconcile()
    shop.until_quiet()
    return orders


LEVELS: Mapping[int, Callable[[Shop], Orders]] = {1: an_ordinary_day, 2: a_bad_day, 3: a_day_of_losses}
