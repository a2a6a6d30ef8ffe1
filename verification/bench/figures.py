"""The tables and plots of docs/performance.md, docs/costs.md and docs/scale.md, made from the kept results.

Each public function that returns text is a table in Markdown, for a cog block of a document to print:
`python -m cogapp -r docs/costs.md` writes the document's tables again, and `npm run bench` does it for all three.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orders.aws.store import YOUNG_SHARDS
from tools import topology
from tools.checkout import ROOT
from verification.bench import price
from verification.bench.cold_start import REFERENCE
from verification.bench.journey import FUNCTIONS, NAIVE
from verification.bench.plot import Bar, bars
from verification.bench.price import MILLION, PRICES, Bill, total
from verification.bench.results import kept

DOCUMENTS = [ROOT / "docs" / f"{name}.md" for name in ("performance", "costs", "scale")]
"""The documents with cog blocks."""

TARGETS = {
    "cold orderService": 1.5,
    "cold others": 1.4,
    "warm": 0.5,
    "calls": 15,
    "zipped": 8_000_000,
    "usd": 23.0,
    "growth": 1.0,
}
"""What must not be exceeded; tests/verification/bench holds the counted ones to it."""

_SMALL_PACKAGE_BYTES = 50_000
_RESULTS = kept()
_START, _WARM, _PACKAGE, _STORIES, _GROWTH = (
    _RESULTS[part].values for part in ("cold_start", "warm_cpu", "artefact", "counts", "growth")
)
_APPROVED = _STORIES["approved"]
_BILL, _STORED, _MAILS = price.a_million(_APPROVED), price.kept(_APPROVED), price.e_mails(_APPROVED)
_IDLE = price.a_month(_STORIES["reconciler, nothing due"])


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows))


# --- performance.md ---------------------------------------------------------------------------------------------------


def measured(part: str) -> str:
    """When, where and with what a part was measured."""
    at = _RESULTS[part].measured
    return f"<sub>{at['date']}, commit {at['commit']}: {at['processor']}, {at['system']}; {at['versions']}</sub>"


def targets() -> str:
    """What was to be reached, and what was."""
    rows = [(what, f"{most:g}", f"{got:.2f}", _verdict(got, most)) for what, most, got in _reached()]
    return _table(("", "at most", "reached", ""), rows)


def _verdict(got: float, most: float) -> str:
    return "met" if got <= most else "**missed**"


def _reached() -> Iterator[tuple[str, float, float]]:
    start = {name: each["cpu"] / _START[REFERENCE]["cpu"] for name, each in _START.items()}
    slowest = max((name for name in FUNCTIONS if name != "orderService"), key=lambda name: start[name])
    yield "cold start, `orderService` ÷ boto3 with one client", TARGETS["cold orderService"], start["orderService"]
    yield f"cold start, slowest other (`{slowest}`) ÷ the same", TARGETS["cold others"], start[slowest]
    for name in NAIVE:
        ratio = _WARM[name]["p50"] / _WARM[f"naive {name}"]["p50"]
        yield f"processor time of an event, `{name}` ÷ naive", TARGETS["warm"], ratio
    yield "package, MB zipped", TARGETS["zipped"] / 1e6, _PACKAGE["zipped"] / 1e6
    yield "AWS calls per approved order", TARGETS["calls"], sum(_APPROVED["calls"].values())
    yield "USD per million approved orders, without e-mail and Cognito", TARGETS["usd"], total(_BILL)
    yield "the same, stored for a month", TARGETS["usd"], total([*_BILL, *_STORED])
    (least_size, least), *_, (most_size, most) = _GROWTH.items()
    worst = max(most[what][kind] / n for what, counts in least.items() for kind, n in counts.items() if n)
    sizes = f"{int(most_size):,} orders ÷ at {int(least_size):,}"
    yield f"calls and units at {sizes}, the worst", TARGETS["growth"], worst


def cold_start() -> str:
    rows = []
    for name, each in _START.items():
        most = TARGETS["cold orderService" if name == "orderService" else "cold others"]
        cpu, wall = (each[kind] / _START[REFERENCE][kind] for kind in ("cpu", "wall"))
        verdict = f"{most}, {_verdict(cpu, most)}" if name in FUNCTIONS else ""
        rows.append((name, f"{each['cpu']:.0f}", f"{each['wall']:.0f}", f"{cpu:.2f}", f"{wall:.2f}", verdict))
    return _table(("", "processor, ms", "wall, ms", "÷ reference, processor", "÷ reference, wall", "target"), rows)


def warm_cpu() -> str:
    rows = []
    for name, each in _WARM.items():
        ratio = each["p50"] / _WARM[f"naive {name}"]["p50"] if name in NAIVE else 0
        verdict = (f"{ratio:.2f}", f"{TARGETS['warm']}, {_verdict(ratio, TARGETS['warm'])}") if ratio else ("", "")
        rows.append((name, f"{each['p50'] / 1000:.2f}", f"{each['p99'] / 1000:.2f}", each["events"], *verdict))
    return _table(("", "p50, ms", "p99, ms", "events", "p50 ÷ naive", "target"), rows)


def artefact() -> str:
    packages = _PACKAGE["packages"]
    shown = {name: each for name, each in packages.items() if each["zipped"] >= _SMALL_PACKAGE_BYTES}
    small = [each for name, each in packages.items() if name not in shown]
    sizes = ("zipped", "unpacked", "files")
    shown[f"{len(small)} smaller ones, with `orders` and `handlers`"] = {
        k: sum(each[k] for each in small) for k in sizes
    }
    shown["**the package**"] = _PACKAGE
    rows = [
        (name, f"{x['zipped'] / 1000:,.0f}", f"{x['unpacked'] / 1000:,.0f}", x["files"]) for name, x in shown.items()
    ]
    return _table(("", "zipped, KB", "unpacked, KB", "files"), rows)


def stories() -> str:
    """Of each story: calls, units, events, invocations and log bytes."""
    names = ("calls", "read units", "write units", "of them in indexes", "events", "invocations", "log bytes")
    rows = []
    for name, each in _STORIES.items():
        calls, events, invocations = (sum(each[what].values()) for what in ("calls", "events", "invocations"))
        units = f"{each['read units']:g}", each["write units"] + each["index write units"], each["index write units"]
        rows.append((name, calls, *units, events, invocations, f"{each['log bytes']:,}"))
    return _table(("story", *names), rows)


def calls() -> str:
    """Which calls an approved order makes."""
    made: dict[str, list[str]] = {}
    for call, times in _APPROVED["calls"].items():
        made.setdefault(call.partition(" ")[0], []).append(f"{times} × {call.partition(':')[2]}")
    rows = [(name, _APPROVED["invocations"][name], ", ".join(made[name])) for name in FUNCTIONS if name in made]
    return _table(("function", "invocations", "its calls"), rows)


def largest_items() -> str:
    rows = [(name, f"{size:,}") for name, size in _APPROVED["largest item"].items()]
    return _table(("table", "largest item, bytes"), rows)


def sums() -> str:
    """USD for a million orders, and for a month in which a million are placed."""
    a_month = f"{total([*_BILL, *_STORED, *_IDLE]):.2f}"
    rows = [
        ("a million approved orders, without e-mail and Cognito", f"**{total(_BILL):.2f}**"),
        ("the month in which they are placed, with storage and what a month without orders costs", a_month),
    ]
    return _table(("", "USD"), rows)


def choices() -> str:
    """What usual choices would cost instead."""
    rows = []
    for name, usd in price.choices(_APPROVED).items():
        more = usd - total(_BILL)
        rows.append((name, f"{usd:.2f}", f"+{more:.2f}, +{100 * more / total(_BILL):.0f} %"))
    return _table(("choice", "USD per million orders", "difference"), rows)


def growth() -> str:
    """Calls and units at each size of the tables."""
    sizes = list(_GROWTH.values())
    rows = []
    for what, kind in ((what, kind) for what, counts in sizes[0].items() for kind in counts if counts[kind]):
        figures = [size[what][kind] for size in sizes]
        rows.append((f"{what}: {kind}", *(f"{each:g}" for each in figures), f"{figures[-1] / figures[0]:.2f}"))
    return _table(("", *(f"{int(size):,} orders" for size in _GROWTH), "last ÷ first"), rows)


# --- costs.md ---------------------------------------------------------------------------------------------------------


def a_million() -> str:
    """The bill of a million approved orders, and what comes on top."""
    declined = total(price.a_million(_STORIES["declined"]))
    rows = [
        *_lines(_BILL),
        _sum("without e-mail", _BILL),
        *_lines(_MAILS),
        _sum("with an e-mail each", [*_BILL, *_MAILS]),
    ]
    rows.append(("*instead*", "a million declined orders, without e-mail", "", f"{declined:.2f}"))
    return _table(_OF_A_BILL, rows)


def stored() -> str:
    """What a million orders cost each month for as long as they are stored."""
    return _table(_OF_A_BILL, [*_lines(_STORED), _sum("each month", _STORED)])


def a_month_without_orders() -> str:
    """The last row is read by operations/preflight/bill.py."""
    return _table(_OF_A_BILL, [*_lines(_IDLE), _sum("each month", _IDLE)])


def always_free() -> str:
    """What AWS's always-free tier takes off a month without orders."""
    rows = [
        (each.what, f"{each.free:,}", f"{each.usd:.2f}", f"{price.beyond_free_tier([each]):.2f}")
        for each in _IDLE
        if each.free
    ]
    left = ("**a month without orders**", "", f"{total(_IDLE):.2f}", f"**{price.beyond_free_tier(_IDLE):.2f}**")
    return _table(("", "free each month", "USD", "USD left"), [*rows, left])


def a_day_at_most() -> str:
    """A day at the throttle: orders and e-mails."""
    story, orders = price.dearest(_STORIES), price.throttled()
    bill = price.a_day(_STORIES[story])
    mails = total(each for each in bill if each.service == "SES")
    order, storage = total(price.a_million(_STORIES[story])), total(price.kept(_STORIES[story]))
    placed = f"{orders // price.DAY} a second × {price.DAY:,} s = {_amount(orders)}, × {order:.2f} USD for a million"
    rows = [
        (f"orders (*{story}*)", placed, f"{total(bill) - mails:,.0f}"),
        ("their e-mails", f"as many, × {mails / orders * MILLION:.0f} USD for a million", f"{mails:,.0f}"),
        ("**sum**", "", f"**{total(bill):,.0f}**"),
        ("stored after that, each month", f"{_amount(orders)} orders", f"{storage * orders / MILLION:,.0f}"),
    ]
    return _table(("at `throttleRate` for a whole day", "", "USD"), rows)


def sign_ups_at_most() -> str:
    """A day of sign-ups at Cognito's quota."""
    users = price.sign_ups()
    how = f"{price.SIGN_UPS} a second × {price.DAY:,} s, × {users.price} USD"
    return _table(("at Cognito's quota for a whole day", "", "USD"), [("new accounts", how, f"**{users.usd:,.0f}**")])


def assumptions() -> str:
    """What the bill assumes, and what each assumption weighs in it."""
    waits = ", ".join(f"{service} {ms} ms" for service, ms in price.CALL_MS.items())
    memory = topology.service()["provider"]["memorySize"]
    duration = total(each for each in _BILL if each.what.startswith("duration"))
    lambdas = sum(_APPROVED["invocations"].values()) * price.LAMBDA_LOGS["INFO"] * MILLION / price.GB
    unchecked = total(each for each in _BILL if each.what.startswith(("archive, for", "logs, for", "answers")))
    rows = [
        ("how long a function waits for a call", waits, ""),
        ("what an invocation takes beside its calls", f"{price.OWN_MS} ms", ""),
        ("a cold start", f"{price.COLD_MS} ms, one of {1 / price.COLD_SHARE:.0f} invocations", ""),
        (
            "so an order's functions run for",
            f"{price.milliseconds(_APPROVED):.0f} ms at {memory} MB",
            f"{duration:.2f}",
        ),
        ("API Gateway's access log", f"{price.ACCESS_LOG} bytes a request", ""),
        (
            "Lambda's own log lines are off",
            "`lambdaLogLevel`",
            f"+{lambdas * PRICES['per_gb']['CloudWatch Logs']:.2f} with `INFO`",
        ),
        ("prices from memory", ", ".join(PRICES["unchecked"]), f"{unchecked:.2f}"),
    ]
    return _table(("assumed", "value", "USD per million orders"), rows)


_OF_A_BILL = ("service", "what", "how much", "USD")


def _lines(bill: Bill) -> list[Sequence[str]]:
    return [(x.service, x.what, f"{_amount(x.amount)} {x.unit}".strip(), f"{x.usd:.2f}") for x in bill]


def _sum(of: str, bill: Bill) -> Sequence[str]:
    return "**sum**", of, "", f"**{total(bill):.2f}**"


def _amount(amount: float) -> str:
    if amount >= MILLION:
        return f"{amount / MILLION:g} million"
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"


# --- scale.md ---------------------------------------------------------------------------------------------------------

_QUOTA = re.compile(r"^\| \[([^]]+)\]\(https://[^)]+\) \| ([\d,]+) \|", re.MULTILINE)


def capacity() -> str:
    """How many orders a second each limit is enough for, the lowest first."""
    found = sorted(limits().items(), key=lambda limit: limit[1][0] / limit[1][1])
    rows = [(name, _round(most), f"{needed:.3g}", f"**{_round(most / needed)}**") for name, (most, needed) in found]
    return _table(("limit", "each second", "per order", "enough for orders/s"), rows)


def limits() -> Mapping[str, tuple[float, float]]:
    """Of each limit: what it allows each second, and what an approved order needs of it.

    What AWS allows is read in the table of docs/scale.md, which is written by hand.
    """
    quotas = _QUOTA.findall((ROOT / "docs" / "scale.md").read_text())
    found: dict[str, tuple[float, float]] = {name: (int(most.replace(",", "")), _NEEDED[name]) for name, most in quotas}
    for parameter, seconds in {"notificationConcurrency": 1, "throttleRate": 1, "reconcileMaxOrders": 60}.items():
        found[f"`{parameter}`"] = int(topology.setting(f"${{param:{parameter}}}")) / seconds, _NEEDED[parameter]
    return found


_AUDIT_WRITES = _APPROVED["calls"]["auditLogger dynamodb:PutItem"]
_ORDER_WRITES = _APPROVED["write units"] - _AUDIT_WRITES
_CONCURRENCY = price.milliseconds(_APPROVED) / 1000
_NOTIFYING = {call: times for call, times in _APPROVED["calls"].items() if call.startswith("notification ")}
_NEEDED = {
    "SES in its sandbox: e-mails": _APPROVED["e-mails"],
    "Lambda in a new account: concurrency": _CONCURRENCY,
    "Lambda: concurrency": _CONCURRENCY,
    "Orders, a new table: write units": _ORDER_WRITES,
    "Orders: write units": _ORDER_WRITES,
    "AuditLog, a new table: write units": _AUDIT_WRITES,
    "AuditLog: write units": _AUDIT_WRITES,
    "`openOrders`: write units of a key": 2 / YOUNG_SHARDS,
    "EventBridge: PutEvents": sum(_APPROVED["events"].values()),
    "EventBridge: invocations of targets": sum(_APPROVED["invocations"].values()) - 1,  # the request invokes the other
    "API Gateway: requests of the account": 1,
    "SNS: publications": _APPROVED["sns publications"],
    "notificationConcurrency": price.milliseconds({"calls": _NOTIFYING, "invocations": {"notification": 1}}) / 1000,
    "throttleRate": 1,
    "reconcileMaxOrders": 1,
}


def _round(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


# --- plots ------------------------------------------------------------------------------------------------------------


def plots() -> Iterator[tuple[str, str]]:
    """The name of each file in docs/performance, and its SVG."""
    starts = [Bar(name, [each["cpu"]]) for name, each in _START.items()]
    yield "cold_start.svg", bars("Cold start, processor time", starts, unit="ms")
    warm = [Bar(name, [each["p50"] / 1000]) for name, each in _WARM.items()]
    yield "warm_cpu.svg", bars("Processor time of an event, p50", warm, unit="ms")
    rows = []
    for name, each in list(_PACKAGE["packages"].items())[:8]:
        note = f"{each['zipped'] / 1e6:.2f} of {each['unpacked'] / 1e6:.2f} MB"
        rows.append(Bar(name, [each["zipped"] / 1e6, (each["unpacked"] - each["zipped"]) / 1e6], note))
    yield "artefact.svg", bars("What is in the package", rows, unit="MB", legend=("zipped", "more when unpacked"))
    yield "price.svg", _price_plot()


def _price_plot() -> str:
    services = list(price.by_service(_BILL))
    rows = []
    for story in ("approved", "approved, with phone", "declined"):
        usd: Mapping[str, Any] = price.by_service(price.a_million(_STORIES[story]))
        rows.append(Bar(story, [usd.get(service, 0) for service in services], f"{sum(usd.values()):.2f} USD"))
    return bars("USD per million orders, without e-mail", rows, unit="USD", legend=services, target=TARGETS["usd"])
