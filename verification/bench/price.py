"""What a million orders cost in USD: the counts of results/counts.json times the prices of prices.json.

How long functions run, and what Lambda and API Gateway log by themselves, is assumed here; docs/costs.md shows it.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tools import topology
from tools.checkout import ROOT
from verification.bench.counts import LOG_EVENT_BYTES, Counts

PRICES: Mapping[str, Any] = json.loads((ROOT / "verification" / "bench" / "prices.json").read_text())

MILLION = 1_000_000
GB = 2**30
MONTH_MINUTES = 730 * 60

# --- assumed ----------------------------------------------------------------------------------------------------------

CALL_MS = {"dynamodb": 5, "events": 15, "ses": 60, "sns": 30}
"""How long a function waits for a call of each service."""
OWN_MS = 3
"""What a warm invocation takes beside its calls."""
COLD_SHARE, COLD_MS = 0.01, 500
"""One invocation of a hundred starts its function, and Lambda bills that too."""
LAMBDA_LOG_BYTES = {"WARN": 0, "INFO": 2 * LOG_EVENT_BYTES + 480}
"""What Lambda logs of an invocation that succeeds, by `lambdaLogLevel`: nothing, or its start and its report."""
ACCESS_LOG_BYTES = LOG_EVENT_BYTES + 390
"""API Gateway's line about a request, in the format of serverless.yml."""
HEADER_BYTES = 500
"""A response's headers, which leave AWS like its body."""
STORED_SHARE_OF_LOGS = 0.15
"""CloudWatch stores the logs compressed."""
LOGGED_STEP_BYTES = LOG_EVENT_BYTES + 450
"""A line that logs an event or a step, without the event: what `Injected context` and ids come to."""
POLLS = 5 * 3 * MONTH_MINUTES
"""Lambda's receives from an idle queue in a month: five pollers that each wait twenty seconds."""


class BillLine(NamedTuple):
    service: str
    what: str
    amount: float
    unit: str
    price: float
    """Of one unit, in USD."""
    free: float = 0
    """So many units are always free, each month, to an account that uses them for nothing else."""

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
    """A line at a price of prices.json, whose name begins with the service and goes on with what is billed."""
    first, _, rest = priced_as.partition(" ")
    units = {"per_million": rest, "per_gb_second": "GB-seconds", "per_month": ""}
    [group] = [name for name, prices in PRICES.items() if name.startswith("per_") and priced_as in prices]
    price = PRICES[group][priced_as] / (MILLION if group == "per_million" else 1)
    free = PRICES["always_free"].get(priced_as, 0)
    return BillLine(service or first, what or rest, amount, units.get(group, "GB"), price, free)


def _times(number: float, bill: Bill) -> Bill:
    return [line._replace(amount=line.amount * number) for line in bill]


# --- a million orders -------------------------------------------------------------------------------------------------


def milliseconds(counts: Counts) -> float:
    """How long all functions together run for a story."""
    waiting = sum(times * CALL_MS[re.split("[ :]", call)[1]] for call, times in counts["calls"].items())
    return float(waiting + _invocations(counts) * (OWN_MS + COLD_SHARE * COLD_MS))


def a_million(counts: Counts, *, architecture: str = "arm64", api: str = "HTTP API") -> Bill:
    """The bill for a million times the story, without e-mails, text messages and users; `kept` has the storage."""
    invocations, asked = _invocations(counts), requests(counts)
    memory_gb = topology.service()["provider"]["memorySize"] / 1024
    log_days = int(topology.setting("${param:logRetentionInDays}"))
    archive_days = int(topology.setting("${param:archiveRetentionInDays}"))
    lambdas_bytes = LAMBDA_LOG_BYTES[topology.setting("${param:lambdaLogLevel}")]
    logs = (counts["log bytes"] + invocations * lambdas_bytes + asked * ACCESS_LOG_BYTES) / GB
    archive = counts["event bytes"] / GB
    stored_logs = logs * STORED_SHARE_OF_LOGS * log_days / 30
    answers = (counts["answer bytes"] + HEADER_BYTES * asked) / GB
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
        _line(milliseconds(counts) / 1000 * memory_gb, f"Lambda {architecture}", f"duration, {architecture}"),
        _line(asked, f"{api} requests", f"{api} requests", "API Gateway"),
        _line(answers, "data transfer out", "answers, out of AWS", "API Gateway"),
        _line(counts["sqs requests"], "SQS requests"),
        _line(counts["sns publications"], "SNS publications"),
    ]
    return _times(MILLION, story)


def kept(counts: Counts) -> Bill:
    """What a million orders cost each month for as long as their rows stay: nothing deletes them."""
    tables, indexes = counts["stored bytes"] / GB, counts["stored index bytes"] / GB
    story = [
        _line(tables + indexes, "DynamoDB storage", "tables and indexes"),
        _line(tables, "DynamoDB point-in-time recovery"),
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
    """Of the API: each invokes OrderService once."""
    return int(counts["invocations"].get("orderService", 0))


# --- a month without orders -------------------------------------------------------------------------------------------


def metrics() -> list[str]:
    """The business metrics that the code emits."""
    code = "".join(file.read_text() for folder in ("orders", "handlers") for file in (ROOT / folder).glob("*.py"))
    # One call chooses between two names.
    return sorted(set(re.findall(r'"((?:Orders|Payments|Customers|Notifications|Seconds)[A-Z]\w+)"', code)))


def a_month(reconciler: Counts) -> Bill:
    """What the system costs in a month, however few orders there are; `reconciler` is a run that finds none."""
    alarms = len(topology.of_type("AWS::CloudWatch::Alarm")) + len(topology.functions())  # tools/alarms.js
    dashboards = len(topology.of_type("AWS::CloudWatch::Dashboard"))
    return [
        _line(alarms, "CloudWatch alarm", "alarms"),
        _line(dashboards, "CloudWatch dashboard"),
        _line(len(metrics()), "CloudWatch metric", "business metrics"),
        _line(POLLS, "SQS requests", "the queue's pollers"),
        BillLine("Reconciler", "a run each minute", MONTH_MINUTES, "runs", total(a_million(reconciler)) / MILLION),
    ]
