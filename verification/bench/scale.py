"""The table of docs/scale.md: how many orders a second each limit is enough for, from the counts and AWS's quotas.

Quotas are the defaults of us-east-1; an account's own are in Service Quotas. Those marked `from_memory` were not read
again on AWS's pages when this was written, in 2026-11.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from orders.aws.store import YOUNG_SHARDS
from tools import topology
from verification.bench import price
from verification.bench.counts import Counts

RATES = (1, 10, 100, 1_000, 10_000)
BEGIN, END = "<!-- written by npm run bench -->", "<!-- as far as here -->"
_DOCS = "https://docs.aws.amazon.com"


class Limit(NamedTuple):
    name: str
    most: float
    """Each second."""
    per_order: float
    then: str
    """What happens beyond it."""
    change: str
    source: str = ""
    from_memory: bool = False

    @property
    def orders(self) -> float:
        """How many a second it is enough for."""
        return self.most / self.per_order


def limits(values: Mapping[str, Counts]) -> Sequence[Limit]:
    """The lowest first."""
    approved = values["approved"]
    events, invocations = sum(approved["events"].values()), approved["invocations"]
    delivered = sum(invocations.values()) - invocations["orderService"]  # Notification by way of the topic
    of_orders = {call: n for call, n in approved["calls"].items() if not call.startswith("auditLogger")}
    audit_writes = approved["calls"]["auditLogger dynamodb:PutItem"]
    order_writes = approved["write units"] - audit_writes
    telling = {call: n for call, n in of_orders.items() if call.startswith("notification")}
    message_ms = price.milliseconds({"calls": telling, "invocations": {"notification": 1}})
    concurrency = price.milliseconds(approved) / 1000
    attempts = int(topology.setting("${param:notificationAttempts}"))
    minutes = attempts * int(topology.of_type("AWS::SQS::Queue")["NotificationQueue"]["VisibilityTimeout"]) // 60
    healed = int(topology.setting("${param:reconcileMaxOrders}")) / 60
    found = [
        Limit(
            "SES in its sandbox: e-mails", 1, approved["e-mails"],
            f"SES refuses; after {attempts} attempts in {minutes} minutes the reconciler tries again", "ask for production access",
            f"{_DOCS}/ses/latest/dg/quotas.html",
        ),
        Limit(
            "Notification: messages at once", int(topology.setting("${param:notificationConcurrency}")), message_ms / 1000,
            "mails wait in the queue", "`notificationConcurrency`, up to 1,000",
            f"{_DOCS}/lambda/latest/dg/services-sqs-scaling.html", True,
        ),
        Limit(
            "our own throttling: requests of a route", int(topology.setting("${param:throttleRate}")), 1,
            "429, and the client tries again", "`throttleRate`, `throttleBurst`",
            f"{_DOCS}/apigateway/latest/developerguide/http-api-throttling.html",
        ),
        Limit(
            "Lambda in a new account: at once", 10, concurrency, "503 to customers, events wait for up to 6 hours",
            "ask for 1,000", f"{_DOCS}/lambda/latest/dg/gettingstarted-limits.html", True,
        ),
        Limit(
            "Lambda: at once", 1_000, concurrency, "503 to customers, events wait for up to 6 hours",
            "ask for more; tens of thousands are given", f"{_DOCS}/lambda/latest/dg/gettingstarted-limits.html", True,
        ),
        Limit(
            "Orders, a new table: write units", 4_000, order_writes, "writes are throttled and repeated",
            "warm throughput, or growing no faster than doubling in 30 minutes",
            f"{_DOCS}/amazondynamodb/latest/developerguide/warm-throughput-scenarios.html",
        ),
        Limit(
            "AuditLog, a new table: write units", 4_000, audit_writes, "entries are written later",
            "as above", f"{_DOCS}/amazondynamodb/latest/developerguide/warm-throughput-scenarios.html",
        ),
        Limit(
            "Orders: write units", 40_000, order_writes, "writes are throttled and repeated", "ask for more",
            f"{_DOCS}/amazondynamodb/latest/developerguide/ServiceQuotas.html", True,
        ),
        Limit(
            "AuditLog: write units", 40_000, audit_writes, "entries are written later", "ask for more",
            f"{_DOCS}/amazondynamodb/latest/developerguide/ServiceQuotas.html", True,
        ),
        Limit(
            f"`openOrders`: write units of {YOUNG_SHARDS} keys", 1_000 * YOUNG_SHARDS, 2,
            "the index holds back the table's writes", "`YOUNG_SHARDS` in `orders/aws/store.py`",
            f"{_DOCS}/amazondynamodb/latest/developerguide/bp-partition-key-design.html",
        ),
        Limit(
            "EventBridge: PutEvents", 10_000, events, "the order is stored, the reconciler publishes it", "ask for more",
            f"{_DOCS}/eventbridge/latest/userguide/eb-quota.html",
        ),
        Limit(
            "EventBridge: invocations of targets", 18_750, delivered, "events come later; none is lost", "ask for more",
            f"{_DOCS}/eventbridge/latest/userguide/eb-quota.html",
        ),
        Limit(
            "API Gateway: requests of the account", 10_000, 1, "429, and the client tries again", "ask for more",
            f"{_DOCS}/apigateway/latest/developerguide/limits.html",
        ),
        Limit(
            "SNS: publications", 30_000, approved["sns publications"], "EventBridge tries again, for 24 hours",
            "ask for more", f"{_DOCS}/general/latest/gr/sns.html", True,
        ),
        Limit(
            "the reconciler: orders that must be healed", healed, 1, "orders stay open longer",
            "`reconcileMaxOrders`, and the function's time-out with it",
        ),
    ]  # fmt: skip
    return sorted(found, key=lambda limit: limit.orders)


def table(values: Mapping[str, Counts]) -> Iterator[str]:
    yield f"| what is limited | each second | per order | enough for orders/s | {' | '.join(f'{r:,}' for r in RATES)} |"
    yield "| --- | --- | --- | --- |" + " --- |" * len(RATES)
    for each in limits(values):
        name = f"[{each.name}]({each.source})" if each.source else each.name
        name += " °" if each.from_memory else ""
        used = [_percent(rate / each.orders) for rate in RATES]
        yield f"| {name} | {_amount(each.most)} | {each.per_order:.3g} | **{_round(each.orders)}** | {' | '.join(used)} |"


def changes(values: Mapping[str, Counts]) -> Iterator[str]:
    yield "| beyond | what is limited | what happens | what to change |"
    yield "| --- | --- | --- | --- |"
    for each in limits(values):
        yield f"| {_round(each.orders)} orders/s | {each.name} | {each.then} | {each.change} |"


def with_table(text: str, values: Mapping[str, Any]) -> str:
    """The document with its tables as they are now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    written = "\n".join([BEGIN, "", *table(values), "", *changes(values), "", END])
    return before + written + after


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share <= 1 else f"**× {share:,.1f}**"


def _round(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _amount(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:.2g}"
