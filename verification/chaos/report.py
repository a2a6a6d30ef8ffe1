"""The report of a run: its figures, the broken promises, and the history of each order concerned."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any, NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from local.terminal.timeline import is_final
from operations.screen import filled
from orders.clock import moment
from verification.chaos.call_log import ObservedCall
from verification.chaos.fault_proxy import FaultStatistics
from verification.chaos.faults import SERVICES
from verification.chaos.load import Responses
from verification.evidence import Evidence

_MOST_HISTORIES = 3
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Run(NamedTuple):
    """The data of a run that the report shows."""

    orders: int
    """How many were requested."""
    seed: int
    responses: Responses
    statistics: FaultStatistics
    calls: Sequence[ObservedCall]
    kinds: Mapping[int, str]
    """Rule of microburst → kind of its fault."""
    redriven: Mapping[str, int]
    interrupted: int
    timed_out: int
    outage_seconds: float
    """How long the payment gateway was down."""
    seconds: Mapping[str, float]
    """How long each part took."""


def show(console: Console, run: Run, evidence: Evidence, violations: Sequence[str]) -> int:
    """Print the report, and return the exit code."""
    console.print()
    console.print(figures(run, evidence), faults(run.statistics))
    for violation in violations:
        console.print(filled("[bold red]✗[/] {violation}", violation=violation))
    for order_id in _named(evidence, violations)[:_MOST_HISTORIES]:
        console.print(filled("\n[bold]What happened to order {order}[/]", order=order_id))
        for line in history(order_id, run, evidence):
            console.print(filled("{line}", line=line))
    if violations:
        words = "\n[bold red]Broken promises: {count}.[/] A similar run, though not an identical one:"
        console.print(filled(words, count=len(violations)))
        console.print(f"  npm run chaos -- --orders {run.orders} --seed {run.seed}")
        return 1
    console.print(
        filled("[green]Nothing was lost, nobody paid twice or for a cancelled order, and everybody was notified.[/]")
    )
    return 0


def figures(run: Run, evidence: Evidence) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    responses, killed = run.responses, [call for call in run.calls if call.killed]
    again = sum(order.get("attempt", 1) > 1 for order in evidence.orders.values())
    twice = Counter(message[:2] for message in evidence.messages)
    repeated = Counter(channel for (_, channel), times in twice.items() for _ in range(times - 1))
    without_response = len(evidence.orders.keys() - responses.accepted.keys())
    calls, faulty = sum(run.statistics.calls.values()), sum(run.statistics.faults.values())
    killed_at = Counter(f"{call.killed} AWS did the call" for call in killed)
    charges, refunds, requests = (
        sum(row[name] for row in evidence.ledger) for name in ("charges", "refunds", "requests")
    )
    answers = Counter(status for statuses in evidence.cancellations.values() for status in statuses)
    rows = {
        "orders": f"{len(evidence.orders)} of {run.orders} placed, {without_response} of them without a response",
        "requests": f"{responses.requests}, of which {responses.failed} failed",
        "cancellations": f"{answers[202] + answers[200]} in time, {answers[409]} too late",
        "calls of AWS": f"{calls}, of which {faulty} met a fault",
        "workers killed": f"{len(killed)}: {_counted(Counter(str(call.function) for call in killed))}",
        "": f"{_counted(killed_at)}; {run.timed_out} more timed out",
        "payment gateway": f"down for {run.outage_seconds:.1f} s",
        "final statuses": _counted(Counter(order["status"] for order in evidence.orders.values())),
        "request to closed": _percentiles(sorted(seconds_to_close(responses, evidence))),
        "reconciled": f"{again} orders were republished by the reconciler",
        "dead letters": f"{sum(run.redriven.values())} redriven ({_counted(run.redriven)}),"
        f" {len(evidence.dead_letters)} left; faults ended {run.interrupted} redrives",
        "sent twice": f"{repeated['email']} e-mails, {repeated['sms']} text messages;"
        f" {sum(evidence.may_repeat.values())} were sent and could not be recorded",
        "checked": f"{len(evidence.published)} published events, {len(evidence.audit)} logged ones,"
        f" {len(evidence.messages)} messages",
        "money": f"{charges} charges and {refunds} refunds in the provider's ledger, after {requests} requests",
        "took": ", ".join(f"{name} {seconds:.0f} s" for name, seconds in run.seconds.items()),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def faults(statistics: FaultStatistics) -> Table:
    """Return microburst's statistics: a row for each kind of fault, a column for each service."""
    services = sorted(SERVICES)
    table = Table("faults", *services, box=SIMPLE)
    table.add_row("calls", *(str(statistics.calls[service]) for service in services), end_section=True)
    for kind in sorted({kind for _, kind in statistics.faults}):
        counts = (statistics.faults[service, kind] for service in services)
        table.add_row(kind, *(str(count or "·") for count in counts))
    return table


def seconds_to_close(responses: Responses, evidence: Evidence) -> Iterator[float]:
    """Yield the seconds from the first request until the status is final and the customer is notified."""
    for order_id, order in evidence.orders.items():
        if is_final(order) and "notification" in order:
            ended = max(moment(order["statusHistory"][-1]["at"]), moment(order["notification"]["at"])).timestamp()
            yield ended - responses.requested_at.get(order_id, moment(order["placedAt"]).timestamp())


def history(order_id: str, run: Run, evidence: Evidence) -> list[str]:
    """Return the lines of an order's history, by time: its events, and the faults that struck its calls."""
    found: list[tuple[float, str]] = []
    if requested_at := run.responses.requested_at.get(order_id):
        found.append((requested_at, "the customer sends the request"))
    order: Mapping[str, Any] = evidence.orders.get(order_id, {})
    found += [(moment(change["at"]).timestamp(), f"is {change['status']}") for change in order.get("statusHistory", [])]
    found += [
        (moment(sent["at"]).timestamp(), f"{receipt}: {sent.get('messageId', sent)}")
        for receipt in ("notification", "sms")
        if (sent := order.get(receipt))
    ]
    for event in evidence.published:
        detail = event["detail"]
        if detail.get("data", {}).get("orderId") == order_id:
            meta = detail["metadata"]
            what = f"{event['detail-type']} {event['id']}, attempt {meta['attempt']}, happens"
            found.append((moment(meta["occurredAt"]).timestamp(), what))
    found += [
        (moment(order[name]["occurredAt"]).timestamp(), f"{name}: {order[name]}")
        for name in ("payment", "cancellation", "refund")
        if name in order
    ]
    for call in run.calls:
        if call.order == order_id and call.disturbed:
            what = f"{call.function or 'operator'}: {call.service} {call.operation}"
            faulty = run.kinds.get(call.rule, "") if call.rule else ""
            killed = f"killed {call.killed} it" if call.killed else ""
            reached = f"AWS's response was {call.status}" if call.status else "it never reached AWS"
            outcome = ", ".join(filter(None, (faulty, killed, f"{call.seconds:.2f} s", reached)))
            found.append((call.at, f"  {what}: {outcome}"))
    return [f"  {datetime.fromtimestamp(at, UTC):%H:%M:%S.%f}"[:-3] + f"  {what}" for at, what in sorted(found)]


def _named(evidence: Evidence, violations: Sequence[str]) -> list[str]:
    """Return the orders whose id, or an event's id, is in the violations."""
    events = {event["id"]: event["detail"].get("data", {}).get("orderId") for event in evidence.published}
    named = [events.get(each, each) for violation in violations for each in _ID.findall(violation)]
    known = evidence.orders.keys() | evidence.accepted.keys()
    return [each for each in dict.fromkeys(named) if each in known]


def _percentiles(seconds: Sequence[float]) -> str:
    if not seconds:
        return "no order has ended"
    p50, p95 = (seconds[ceil(share * len(seconds)) - 1] for share in (0.5, 0.95))
    return f"p50 {p50:.1f} s, p95 {p95:.1f} s, max {seconds[-1]:.1f} s"


def _counted(count: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(count.items())) or "none"
