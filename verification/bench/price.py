"""What a million orders cost in USD: the counts of results/counts.json times the prices of prices.json.

How long functions run, and how much Lambda and API Gateway log by themselves, is assumed here; docs/costs.md has these
assumptions too.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tools import topology
from tools.checkout import ROOT
from verification.bench.counts import ENTRY, Counts

PRICES: Mapping[str, Any] = json.loads((ROOT / "verification" / "bench" / "prices.json").read_text())

MILLION = 1_000_000
GB = 2**30

# --- assumed ----------------------------------------------------------------------------------------------------------

CALL_MS = {"dynamodb": 5, "events": 15, "ses": 60, "sns": 30}
"""How long a function waits for a call of each service."""
OWN_MS = 3
"""What a warm invocation takes beside its calls."""
COLD_SHARE, COLD_MS = 0.01, 500
"""One invocation of a hundred starts its function, and Lambda bills that too."""
LAMBDA_LOGS = {"WARN": 0, "INFO": 2 * ENTRY + 480}
"""Bytes that Lambda logs of an invocation that succeeds, by `lambdaLogLevel`: none, or its start and its report."""
ACCESS_LOG = ENTRY + 390
"""Bytes of API Gateway's line about a request, in the format of serverless.yml."""
HEADERS = 500
"""Bytes of a response's headers, which leave AWS like its body."""
COMPRESSED = 0.15
"""The part of the logs' bytes that CloudWatch stores."""
LOGGED_EVENT = 450
"""Bytes of a line that logs an event or a step, without the event: what `Injected context` and ids come to."""
MINUTES = 730 * 60  # in a month
POLLS = 5 * 3 * MINUTES
"""Lambda's receives from an idle queue: five pollers that each wait twenty seconds."""


class BillLine(NamedTuple):
    """A line of the bill."""

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


Bill = Sequence[BillLine]


def total(bill: Iterable[BillLine]) -> float:
    return sum(position.usd for position in bill)


def beyond_free_tier(bill: Iterable[BillLine]) -> float:
    return sum(max(0, position.amount - position.free) * position.price for position in bill)


def by_service(bill: Bill) -> dict[str, float]:
    """USD by service, the highest first."""
    sums = {service: total(p for p in bill if p.service == service) for service in {p.service for p in bill}}
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


# --- a million orders -------------------------------------------------------------------------------------------------


def milliseconds(counts: Counts) -> float:
    """How long all functions together run for a story."""
    waiting = sum(times * CALL_MS[_service(call)] for call, times in counts["calls"].items())
    return float(waiting + _invocations(counts) * (OWN_MS + COLD_SHARE * COLD_MS))


def log_bytes(counts: Counts) -> float:
    """What a story logs: the functions' lines, Lambda's and API Gateway's."""
    lambdas = _invocations(counts) * LAMBDA_LOGS[topology.setting("${param:lambdaLogLevel}")]
    return float(counts["log bytes"] + lambdas + _requests(counts) * ACCESS_LOG)


def a_million(counts: Counts, *, architecture: str = "arm64", api: str = "HTTP API") -> Bill:
    """The bill for a million times the story, without e-mails, text messages and users; `kept` has the storage."""
    memory = topology.service()["provider"]["memorySize"] / 1024
    parameters = topology.service()["params"]["default"]
    logs = log_bytes(counts) / GB
    days, archived = parameters["logRetentionInDays"], parameters["archiveRetentionInDays"]
    events = sum(counts["events"].values())
    archive = counts["event bytes"] / GB
    each = [
        _counted("DynamoDB", "write units", counts["write units"], "DynamoDB write units"),
        _counted("DynamoDB", "write units of the indexes", counts["index write units"], "DynamoDB write units"),
        _counted("DynamoDB", "read units", counts["read units"], "DynamoDB read units"),
        _counted("EventBridge", "events", events, "EventBridge events"),
        BillLine("EventBridge", "archive", archive, "GB", PRICES["per_gb"]["EventBridge archive"]),
        _stored("EventBridge", f"archive, for {archived} days", archive * archived / 30, "EventBridge archive storage"),
        BillLine("CloudWatch", "logs", logs, "GB", PRICES["per_gb"]["CloudWatch Logs"]),
        _stored("CloudWatch", f"logs, for {days} days", logs * COMPRESSED * days / 30, "CloudWatch Logs storage"),
        _counted("Lambda", "requests", _invocations(counts), "Lambda requests"),
        BillLine(
            "Lambda",
            f"duration, {architecture}",
            milliseconds(counts) / 1000 * memory,
            "GB-seconds",
            PRICES["per_gb_second"][f"Lambda {architecture}"],
        ),
        _counted("API Gateway", f"{api} requests", _requests(counts), f"{api} requests"),
        BillLine("API Gateway", "answers, out of AWS", _out(counts), "GB", PRICES["per_gb"]["data transfer out"]),
        _counted("SQS", "requests", counts["sqs requests"], "SQS requests"),
        _counted("SNS", "publications", counts["sns publications"], "SNS publications"),
    ]
    return _times(MILLION, each)


def kept(counts: Counts) -> Bill:
    """What a million orders cost each month for as long as their rows stay: nothing deletes them."""
    tables, indexes = counts["stored bytes"] / GB, counts["stored index bytes"] / GB
    each = [
        _stored("DynamoDB", "tables and indexes", tables + indexes, "DynamoDB storage"),
        _stored("DynamoDB", "point-in-time recovery", tables, "DynamoDB point-in-time recovery"),
    ]
    return _times(MILLION, each)


def e_mails(counts: Counts) -> Bill:
    return _times(MILLION, [_counted("SES", "e-mails", counts["e-mails"], "SES e-mails")])


def choices(counts: Counts) -> dict[str, float]:
    """USD for a million orders with each of five usual choices, by the choice's name."""
    events, invocations = sum(counts["events"].values()), _invocations(counts)
    consumed = invocations - _requests(counts)
    repeated = {
        **counts,
        "calls": {
            **counts["calls"],
            "powertools dynamodb:PutItem": consumed,
            "powertools dynamodb:UpdateItem": consumed,
        },
        "write units": counts["write units"] + 2 * consumed,
    }
    handed = counts["event bytes"] / events * consumed if events else 0
    verbose = {**counts, "log bytes": counts["log bytes"] + handed + 3 * invocations * (LOGGED_EVENT + ENTRY)}
    traces = (1 + counts["sns publications"]) * PRICES["per_million"]["X-Ray traces"]
    return {
        "REST API instead of HTTP API": total(a_million(counts, api="REST API")),
        "x86_64 instead of arm64": total(a_million(counts, architecture="x86_64")),
        "an idempotency table per consumer": total(a_million(repeated)),
        "verbose logs: each event, and two steps of each invocation": total(a_million(verbose)),
        "full tracing with X-Ray": total(a_million(counts)) + traces,
    }


# --- a day at the throttle --------------------------------------------------------------------------------------------

DAY = 24 * 60 * 60
SIGN_UPS = 50
"""A second, in all pools of an account's region: Cognito's default quota for `UserCreation`."""


def throttled() -> int:
    """The requests of a day that API Gateway lets through at most, over all callers."""
    return int(topology.setting("${param:throttleRate}")) * DAY


def dearest(stories: Mapping[str, Counts]) -> str:
    """The story that costs most for a million."""
    return max(stories, key=lambda name: total(a_million(stories[name])))


def a_day(counts: Counts) -> Bill:
    """The bill for a day in which every request that the throttle lets through is this story."""
    share = throttled() / MILLION
    return [each._replace(amount=each.amount * share) for each in [*a_million(counts), *e_mails(counts)]]


def sign_ups() -> BillLine:
    """What a day of nothing but new accounts costs: the throttle is the API's, and Cognito is asked directly."""
    return BillLine("Cognito", "active users", SIGN_UPS * DAY, "", PRICES["per_month"]["Cognito active user"])


# --- a month without orders -------------------------------------------------------------------------------------------


def metrics() -> list[str]:
    """The business metrics that the code emits."""
    code = "".join(file.read_text() for folder in ("orders", "handlers") for file in (ROOT / folder).glob("*.py"))
    # One call chooses between two names.
    return sorted(set(re.findall(r'"((?:Orders|Customers|Notifications|Seconds)[A-Z]\w+)"', code)))


def a_month(reconciler: Counts) -> Bill:
    """What the system costs in a month, however few orders there are; `reconciler` is a run that finds none."""
    alarms = len(topology.of_type("AWS::CloudWatch::Alarm")) + len(topology.functions())  # tools/alarms.js
    dashboards = len(topology.of_type("AWS::CloudWatch::Dashboard"))
    run = total(a_million(reconciler)) / MILLION
    polls = _counted("SQS", "the queue's pollers", POLLS, "SQS requests")
    return [
        _monthly("alarms", alarms, "CloudWatch alarm"),
        _monthly("dashboard", dashboards, "CloudWatch dashboard"),
        _monthly("business metrics", len(metrics()), "CloudWatch metric"),
        polls._replace(free=PRICES["always_free"]["SQS requests"]),
        BillLine("Reconciler", "a run each minute", MINUTES, "runs", run),
    ]


def _counted(service: str, what: str, amount: float, priced_as: str) -> BillLine:
    return BillLine(service, what, amount, priced_as.partition(" ")[2], PRICES["per_million"][priced_as] / MILLION)


def _monthly(what: str, amount: int, priced_as: str) -> BillLine:
    price, free = PRICES["per_month"][priced_as], PRICES["always_free"][priced_as]
    return BillLine("CloudWatch", what, amount, "", price, free)


def _stored(service: str, what: str, amount: float, priced_as: str) -> BillLine:
    return BillLine(service, what, amount, "GB", PRICES["per_gb_month"][priced_as])


def _times(number: int, bill: Bill) -> Bill:
    return [position._replace(amount=position.amount * number) for position in bill]


def _service(call: str) -> str:
    """`dynamodb` for `paymentProcessing dynamodb:GetItem`."""
    return call.partition(" ")[2].partition(":")[0]


def _invocations(counts: Counts) -> int:
    return sum(counts["invocations"].values())


def _requests(counts: Counts) -> int:
    """Of the API: each invokes OrderService once."""
    return int(counts["invocations"].get("orderService", 0))


def _out(counts: Counts) -> float:
    return float(counts["answer bytes"] + HEADERS * _requests(counts)) / GB
