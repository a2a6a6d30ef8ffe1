"""The cost, in USD, of bringing a million orders from one step to the next. The steps themselves are left out.

Prices: verification/bench/prices.json. A choreographed order's usage: verification/bench/results/counts.json.
"""

import json
from typing import Any

from tools.checkout import ROOT

_BENCH = ROOT / "verification" / "bench"
_EXPRESS_GB = 64 / 1024
"""The least memory that Express bills for, which is enough for such an order."""
_EXPRESS_SECONDS = 0.1
"""Express rounds the duration up to a multiple of this."""


def choreographed() -> float:
    """The events on the bus, and the topic and the queue that carry them to Notification."""
    order, price = _read("results/counts.json")["values"]["approved"], _read("prices.json")["per_million"]
    return float(
        sum(order["events"].values()) * price["EventBridge events"]
        + order["sns publications"] * price["SNS publications"]
        + order["sqs requests"] * price["SQS requests"]
    )


def invocations() -> int:
    """The number of Lambda's invocations for a choreographed order, including AuditLogger and OrderStatusUpdater."""
    return int(sum(_read("results/counts.json")["values"]["approved"]["invocations"].values()))


def standard(transitions: int) -> float:
    """A Standard workflow with this number of state transitions, including retries."""
    return float(transitions * _read("prices.json")["per_million"]["Step Functions Standard transitions"])


def express(milliseconds: float) -> float:
    """An Express workflow that runs for this long."""
    prices = _read("prices.json")
    seconds = -(-milliseconds // (1000 * _EXPRESS_SECONDS)) * _EXPRESS_SECONDS
    duration = seconds * _EXPRESS_GB * prices["per_gb_second"]["Step Functions Express"] * 1_000_000
    return float(prices["per_million"]["Step Functions Express requests"] + duration)


def _read(file: str) -> Any:
    return json.loads((_BENCH / file).read_text())
