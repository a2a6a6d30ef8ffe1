"""The cost of a million orders in USD: the counts of results/counts.json times the prices of prices.json.

The functions' waiting times and the log lines of Lambda and API Gateway are assumed here; the processor time is that of
results/warm_cpu.json and cold_start.json. docs/costs.md shows both.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from orders.aws.store import LATE_SHARDS
from tools import topology
from tools.checkout import ROOT
from verification.bench import results
from verification.bench.counts import LOG_EVENT_BYTES, NOBODY_WATCHES, WAITING, WATCHED, Counts

PRICES: Mapping[str, Any] = json.loads((ROOT / "verification" / "bench" / "prices.json").read_text())

MILLION = 1_000_000
GB = 2**30
MONTH_MINUTES = 730 * 60

# --- assumed ----------------------------------------------------------------------------------------------------------

CALL_MS = {"dynamodb": 5, "events": 15, "ses": 60, "sns": 30, "execute-api": 15}
"""How long a function waits for a call of each service."""
COLD_SHARE = 0.01
"""One invocation of a hundred starts its function, and Lambda bills that too."""
LAMBDA_LOG_BYTES = {"WARN": 0, "INFO": 2 * LOG_EVENT_BYTES + 480}
"""Lambda's log lines for an invocation that succeeds, by `lambdaLogLevel`: none, or its start and its report."""
LOGGED_REQUEST = {
    "requestId": "JKJaXmPLvHcESHA=",
    "routeKey": "GET /orders/{orderId}/events",
    "status": "200",
    "responseLength": "1024",
    "identity.sourceIp": "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "responseLatency": "100",
    "integrationLatency": "100",
    "error.message": "-",
    "integrationErrorMessage": "-",
}
"""The values that API Gateway logs about a request, by `$context` variable; the longest route and address."""
HEADER_BYTES = 500
"""A response's headers, which are transferred out of AWS like its body."""
STORED_SHARE_OF_LOGS = 0.15
"""CloudWatch stores the logs compressed."""
LOGGED_STEP_BYTES = LOG_EVENT_BYTES + 450
"""A line that logs an event or a step, without the event: the size of `Injected context` and ids."""
POLLS = 5 * 3 * MONTH_MINUTES
"""Lambda's receives from an idle queue in a month: five pollers that each wait twenty seconds."""


def access_log_bytes() -> int:
    """API Gateway's line about a request, in the format of serverless.yml."""
    form = topology.service()["provider"]["logs"]["httpApi"]["format"]
    line = re.sub(r"\$context\.([a-zA-Z.]+)", lambda variable: LOGGED_REQUEST[variable[1]], form)
    return LOG_EVENT_BYTES + len(line)


class BillLine(NamedTuple):
    service: str
    what: str
    amount: float
    unit: str
    price: float
    """The price of one unit, in USD."""
    free: float = 0
    """How many units per month are always free, if the account uses them for nothing else."""

    @property
    def usd(self) -> float:
        """By list price, with no free tier."""
        return self.amount * self.price

    @property
    def usd_beyond_free_tier(self) -> float:
        return max(0, self.amount - self.free) * self.price


Bill = Sequence[BillLine]


def total(bill: Iterable[BillLine]) -> float:
    return sum(line.usd for line in bill)


def _line(amount: float, priced_as: str, what: str = "", service: str = "") -> BillLine:
    """A line at a price of prices.json, whose name is the service, followed by the billed item."""
    first, _, rest = priced_as.partition(" ")
    units = {"per_million": rest, "per_gb_second": "GB-seconds", "per_month": ""}
    [group] = [name for name, prices in PRICES.items() if name.startswith("per_") and priced_as in prices]
    price = PRICES[group][priced_as] / (MILLION if group == "per_million" else 1)
    free = PRICES["always_free"].get(priced_as, 0)
    return BillLine(service or first, what or rest, amount, units.get(group, "GB"), price, free)


def _times(number: float, bill: Bill) -> Bill:
    return [line._replace(amount=line.amount * number) for line in bill]


RECONCILING_SECONDS = 55
"""How long a run of the reconciler works in each minute; it leaves the rest to the next run."""


class Healing(NamedTuple):
    """The time that one order takes in a run of the reconciler."""

    calls: float
    waiting_ms: float
    """Divided by the threads, which wait at the same time."""
    working_ms: float
    """Not divided: the threads share a processor."""

    @property
    def orders_a_minute(self) -> float:
        """The longer of the two."""
        return 1000 * RECONCILING_SECONDS / max(self.waiting_ms, self.working_ms)


# --- a million orders -------------------------------------------------------------------------------------------------


def memory_mb(function: str) -> int:
    """The memory of a function, from serverless.yml."""
    service = topology.service()
    return int({**service["provider"], **service["functions"].get(function, {})}["memorySize"])


def processor_share(mb: float) -> float:
    """The share of a processor of a function with this much memory; at most one, since Python runs on one at a time.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
    """
    return min(1, mb / 1769)


def milliseconds(counts: Counts) -> dict[str, float]:
    """How long each function runs for a story: it waits for its calls, and works between them.

    The reconciler's threads work while others wait, so it runs for the longer of the two.
    """
    waits: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for call, times in counts["calls"].items():
        function, service, _ = re.split("[ :]", call)
        waits[function] += CALL_MS[service] * (_rounds(times) if function == "reconciler" else times)
        calls[function] += times
    taken = {**waits}
    for function, times in counts["invocations"].items():
        works = times * _processor_ms(function, calls[function] / times) / processor_share(memory_mb(function))
        taken[function] = max(waits[function], works) if function == "reconciler" else waits[function] + works
    return taken


def _rounds(queries: int) -> int:
    """How often a run of the reconciler waits: first for each count, then for as many lists as it reads at once."""
    lists = queries - len(LATE_SHARDS)
    return len(LATE_SHARDS) + math.ceil(lists / int(topology.setting("${param:reconcileConcurrency}")))


def _processor_ms(function: str, calls: float) -> float:
    """The measured time of an invocation on a whole processor, averaged over cold and warm ones.

    The reconciler's run was not measured: each of its calls counts like AuditLogger, which makes one call. OrderFeed's
    was, with an event that nobody watches, for which it makes one call: each of its other calls counts like that.
    """
    kept_results = results.kept()
    warm = {name: each["p50"] / 1000 for name, each in kept_results["warm_cpu"].values.items()}
    warm |= {"reconciler": calls * warm["auditLogger"], "orderFeed": calls * warm["orderFeed"]}
    cold = kept_results["cold_start"].values[function]["cpu"]
    return float((1 - COLD_SHARE) * warm[function] + COLD_SHARE * cold)


def healing(story: Counts) -> Healing:
    """How fast the reconciler is, by a story in which many orders are due."""
    orders = sum(story["events"].values())
    waits = sum(times * CALL_MS[re.split("[ :]", call)[1]] for call, times in story["calls"].items())
    works = results.kept()["warm_cpu"].values["reconciler, an order"]["p50"] / 1000
    return Healing(
        calls=sum(story["calls"].values()) / orders,
        waiting_ms=waits / orders / int(topology.setting("${param:reconcileConcurrency}")),
        working_ms=works / processor_share(memory_mb("reconciler")),
    )


def gb_seconds(counts: Counts) -> float:
    """Lambda's bill for the functions' time."""
    return sum(ms / 1000 * memory_mb(function) / 1024 for function, ms in milliseconds(counts).items())


def a_million(counts: Counts, *, architecture: str = "arm64", api: str = "HTTP API") -> Bill:
    """The bill for a million times the story, without e-mails, text messages and users; `kept` has the storage."""
    invocations, asked = _invocations(counts), requests(counts)
    log_days = int(topology.setting("${param:logRetentionInDays}"))
    archive_days = int(topology.setting("${param:archiveRetentionInDays}"))
    lambdas_bytes = LAMBDA_LOG_BYTES[topology.setting("${param:lambdaLogLevel}")]
    logs = (counts["log bytes"] + invocations * lambdas_bytes + asked * access_log_bytes()) / GB
    archive = counts["event bytes"] / GB
    stored_logs = logs * STORED_SHARE_OF_LOGS * log_days / 30
    responses = (counts["response bytes"] + HEADER_BYTES * asked + counts["websocket bytes"]) / GB
    story = [
        _line(counts["write units"], "DynamoDB write units"),
        _line(counts["index write units"], "DynamoDB write units", "write units of the indexes"),
        _line(counts["read units"], "DynamoDB read units"),
        _line(sum(counts["events"].values()), "EventBridge events"),
        _line(archive, "EventBridge archive"),
        _line(archive * archive_days / 30, "EventBridge archive storage", f"archive, for {archive_days} days"),
        _line(logs, "CloudWatch Logs", "logs"),
        _line(stored_logs, "CloudWatch Logs storage", f"logs, for {log_days} days"),
        _line(invocations, "Lambda requests"),
        _line(gb_seconds(counts), f"Lambda {architecture}", f"duration, {architecture}"),
        _line(asked, f"{api} requests", f"{api} requests", "API Gateway"),
        _line(responses, "data transfer out", "responses, out of AWS", "API Gateway"),
        *_websockets(counts),
        _line(counts["sqs requests"], "SQS requests"),
        _line(counts["sns publications"], "SNS publications"),
    ]
    return _times(MILLION, story)


def _websockets(counts: Counts) -> Bill:
    if not counts["websocket messages"]:
        return []
    return [
        _line(counts["websocket messages"], "WebSocket messages", "WebSocket messages", "API Gateway"),
        _line(counts["connection minutes"], "WebSocket minutes", "minutes of WebSockets", "API Gateway"),
    ]


def kept(counts: Counts) -> Bill:
    """The monthly cost of a million orders for as long as their rows are stored: nothing deletes them."""
    tables, indexes = counts["stored bytes"] / GB, counts["stored index bytes"] / GB
    story = [
        _line(tables + indexes, "DynamoDB storage", "tables and indexes"),
        _line(tables, "DynamoDB point-in-time recovery"),
    ]
    return _times(MILLION, story)


def providers(counts: Counts) -> Bill:
    """The cost of the simulated payment provider's ledger for a million times the story, with a month of storage."""
    stored = counts["provider's stored bytes"] / GB
    story = [
        _line(counts["provider's write units"], "DynamoDB write units"),
        _line(stored, "DynamoDB storage", "ledger, a month"),
        _line(stored, "DynamoDB point-in-time recovery", "ledger's point-in-time recovery, a month"),
    ]
    return _times(MILLION, story)


def e_mails(counts: Counts) -> Bill:
    return [_line(counts["e-mails"] * MILLION, "SES e-mails")]


def choices(counts: Counts) -> dict[str, float]:
    """USD for a million orders with each of five usual choices, by the choice's name."""
    events, invocations = sum(counts["events"].values()), _invocations(counts)
    consumed = invocations - requests(counts)
    claims = {"powertools dynamodb:PutItem": consumed, "powertools dynamodb:UpdateItem": consumed}
    claimed = {"calls": {**counts["calls"], **claims}, "write units": counts["write units"] + 2 * consumed}
    steps = counts["event bytes"] / events * consumed + 3 * invocations * LOGGED_STEP_BYTES
    traces = (1 + counts["sns publications"]) * PRICES["per_million"]["X-Ray traces"]
    return {
        "REST API instead of HTTP API": total(a_million(counts, api="REST API")),
        "x86_64 instead of arm64": total(a_million(counts, architecture="x86_64")),
        "an idempotency table per consumer": total(a_million({**counts, **claimed})),
        "verbose logs: each event, and two steps of each invocation": total(
            a_million({**counts, "log bytes": counts["log bytes"] + steps})
        ),
        "full tracing with X-Ray": total(a_million(counts)) + traces,
    }


def _invocations(counts: Counts) -> int:
    return sum(counts["invocations"].values())


def requests(counts: Counts) -> int:
    """Of the HTTP API: each invokes a function once."""
    return int(counts["requests"])


# --- a month without orders -------------------------------------------------------------------------------------------


def metrics() -> list[str]:
    """The business metrics that the code emits."""
    code = "".join(file.read_text() for folder in ("orders", "handlers") for file in (ROOT / folder).glob("*.py"))
    # One call chooses between two names.
    return sorted(set(re.findall(r'"((?:Orders|Payments|Customers|Notifications|Seconds)[A-Z]\w+)"', code)))


def a_month(reconciler: Counts) -> Bill:
    """The fixed cost of the system in a month; `reconciler` is a run that finds no orders."""
    alarms = len(topology.of_type("AWS::CloudWatch::Alarm")) + len(topology.always_deployed())  # tools/alarms.js
    dashboards = len(topology.of_type("AWS::CloudWatch::Dashboard"))
    return [
        _line(alarms, "CloudWatch alarm", "alarms"),
        _line(dashboards, "CloudWatch dashboard"),
        _line(len(metrics()), "CloudWatch metric", "business metrics"),
        _line(POLLS, "SQS requests", "the queue's pollers"),
        BillLine("Reconciler", "a run each minute", MONTH_MINUTES, "runs", total(a_million(reconciler)) / MILLION),
    ]


# --- a month with orders ----------------------------------------------------------------------------------------------


def a_month_at(orders_per_second: float, approved: Counts, reconciler: Counts) -> dict[str, float]:
    """USD of a month with this many approved orders a second, by purpose; without pages and the payment provider.

    Orders arrive evenly: on average, half of the first month's orders are stored.
    """
    millions = orders_per_second * MONTH_MINUTES * 60 / MILLION
    return {
        "the orders": total(a_million(approved)) * millions,
        "fixed, even without orders": total(a_month(reconciler)),
        "stored, in the first month": total(kept(approved)) * millions / 2,
        "e-mails": total(e_mails(approved)) * millions,
    }


# --- pages that customers leave open ----------------------------------------------------------------------------------


POLLS_UNTIL_FINAL, POLLS_AFTERWARDS, POLLS_WHILE_OPEN = 8, 30, 150
"""How often an order's page read the order and its timeline when it polled, before it had a WebSocket.

In the 3 s until its order is final (at once, then every 0.4 s), in a minute after that (every 2 s), and in a minute in
which the order stays open (every 0.4 s).
"""
WATCHES = "watched until its order is final, in 3 s"


class Page(NamedTuple):
    """The additional cost of an order's page: requests of the API, and USD for a million such pages."""

    requests_before: int
    """When it polled."""
    requests: int
    messages: int
    """Of its WebSocket; opening and closing it count as one each."""
    usd_before: float
    usd: float


def pages(stories: Mapping[str, Counts]) -> dict[str, Page]:
    """A page that is watched until its order is final, pages that stay open, and an order that no page watches."""
    read_both = total(a_million(stories["GET order"])) + total(a_million(stories["GET timeline"]))
    [a_minute] = [line for line in _websockets(stories[WATCHED]) if "minutes" in line.what]
    event, events = stories[NOBODY_WATCHES], sum(stories["approved"]["events"].values())

    def page(polls: int, counts: Counts) -> Page:
        messages = int(counts["websocket messages"])
        return Page(2 * polls, requests(counts), messages, polls * read_both, total(a_million(counts)))

    return {
        WATCHES: page(POLLS_UNTIL_FINAL, stories[WATCHED]),
        "open for a minute more; its order has ended": Page(
            2 * POLLS_AFTERWARDS, 0, 0, POLLS_AFTERWARDS * read_both, MILLION * a_minute.price
        ),
        "open for a minute; its order stays open": page(POLLS_WHILE_OPEN, stories[WAITING]),
        "none: an order that nobody watches": Page(0, 0, 0, 0, events * total(a_million(event))),
    }
