"""Which parts of the system a picture highlights: one for each notebook, and one for each function in docs/blog.md."""

from typing import NamedTuple


class Focus(NamedTuple):
    """What the picture is about, as its description says it, and the parts that it highlights."""

    about: str
    parts: frozenset[str]


def _focus(about: str, parts: str) -> Focus:
    return Focus(about, frozenset(parts.split()))


_PATH_OF_AN_ORDER = (
    "customer api orderService orders bus paymentProcessing fulfillment orderStatusUpdater topic queue notification"
    " email auditLogger auditLog"
)
_DEPLOYED = (
    "api orderService orders bus paymentProcessing fulfillment reconciler orderStatusUpdater topic queue notification"
    " email auditLogger auditLog orderFeed archive cloudwatch deadLetterQueues"
)
_FUNCTIONS = (
    "orderService paymentProcessing fulfillment reconciler orderStatusUpdater notification auditLogger orderFeed"
)

NOTEBOOKS = {
    "01_your_first_order": _focus(
        "your event on the bus and in the audit log, and an order", "customer api orderService bus auditLogger auditLog"
    ),
    "02_what_was_deployed": _focus("the bus, and each function that it connects", f"bus {_FUNCTIONS}"),
    "03_tokens_and_items": _focus("the token at the API, and the order's item", "customer api orderService orders"),
    "04_the_event_bus": _focus("the bus and its archive", "bus archive"),
    "05_pay_once": _focus("the payment", "paymentProcessing"),
    "06_any_order_of_arrival": _focus("the order's status", "orderStatusUpdater"),
    "07_notifying_the_customer": _focus("the path of an e-mail", "topic queue notification email"),
    "08_the_audit_trail": _focus("the audit log", "auditLogger auditLog"),
    "09_failing_and_recovering": _focus("a payment that fails", "paymentProcessing deadLetterQueues"),
    "10_the_event_that_was_never_sent": _focus("the repair of an order that is stuck", "reconciler orders"),
    "11_changing_your_mind": _focus(
        "a cancellation, a payment and a shipment", "orderService paymentProcessing fulfillment orders"
    ),
    "12_the_next_version": _focus("the places where old events wait", "bus archive deadLetterQueues"),
    "13_your_own_service": _focus("the bus, which takes one more consumer", "bus"),
    "14_orchestrated": _focus(
        "the steps that an orchestrator would call", "paymentProcessing fulfillment orderStatusUpdater notification"
    ),
    "15_load_latency_cost": _focus("all that an order runs through", _PATH_OF_AN_ORDER),
    "16_to_aws_and_back": _focus("all that a deploy creates", _DEPLOYED),
    "17_find_the_bug": _focus("the places to look for a bug", "orders auditLog deadLetterQueues queue cloudwatch"),
}
"""A notebook's file name → what its header highlights."""

FUNCTIONS = {
    "order_service": _focus("OrderService, from the request to its events", "customer api orderService orders bus"),
    "order_status_updater": _focus("OrderStatusUpdater and what it consumes", "orderStatusUpdater bus"),
    "payment_processing": _focus("PaymentProcessing, its events and the order", "paymentProcessing orders bus"),
    "notification": _focus("Notification, behind a topic and a queue", "topic queue notification email bus"),
    "fulfillment": _focus("Fulfillment, its events and the order", "fulfillment orders bus"),
    "audit_logger": _focus("AuditLogger and its table", "auditLogger auditLog bus"),
    "reconciler": _focus("the Reconciler, its events and the orders", "reconciler orders bus"),
    "order_feed": _focus("OrderFeed and the open pages", "orderFeed pages bus"),
}
"""A function's module in handlers/ → what its picture in docs/blog.md highlights."""

PICTURES = {**NOTEBOOKS, **FUNCTIONS}
"""A file's name in docs/pictures/, without its suffix → what it highlights."""
