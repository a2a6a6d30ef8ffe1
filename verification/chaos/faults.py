"""The faults: which calls fail, how and how often, as rules of microburst drawn from the seed."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple


class FaultRule(NamedTuple):
    """One kind of fault of one service."""

    service: str
    """Its name in signatures: `events` is EventBridge."""
    kind: str
    rule: Mapping[str, Any]
    """In the form that microburst needs."""


THROTTLED = "throttled"
SERVER_ERROR = "server error"
RESET = "connection reset"
RESPONSE_LOST = "response lost"
ENTRY_FAILED = "entry failed"
LATE = "late"
TOO_LATE = "too late"

LOSES_THE_RESPONSE = {RESPONSE_LOST, TOO_LATE}
"""The call takes effect, but its caller doesn't learn of it."""

_ERRORS: Mapping[str, Sequence[tuple[str, str, int]]] = {
    "dynamodb": (
        (THROTTLED, "ProvisionedThroughputExceededException", 400),
        (THROTTLED, "ThrottlingException", 400),
        (SERVER_ERROR, "InternalServerError", 500),
        (SERVER_ERROR, "ServiceUnavailable", 503),
    ),
    "events": ((THROTTLED, "ThrottlingException", 400), (SERVER_ERROR, "InternalException", 500)),
    "sns": ((THROTTLED, "Throttled", 429), (SERVER_ERROR, "InternalError", 500)),
    "ses": ((THROTTLED, "TooManyRequestsException", 429), (SERVER_ERROR, "InternalServiceErrorException", 500)),
    "sqs": ((THROTTLED, "RequestThrottled", 403), (SERVER_ERROR, "InternalFailure", 500)),
}
SERVICES = tuple(_ERRORS)
_READ_TIMEOUT_MS = 2000  # of orders/aws/client.py


def faults(seed: int) -> list[FaultRule]:
    """Return the faults of every service. For each call microburst draws them in this order, until one strikes."""
    rng = Random(f"faults of {seed}")

    def probability(least: float, most: float) -> float:
        return round(rng.uniform(least, most), 4)

    found = []
    for service, errors in _ERRORS.items():
        for kind, code, status in errors:
            rule = {"probability": probability(0.005, 0.025), "error": {"code": code, "status": status}}
            found.append(FaultRule(service, kind, rule))
        found += [
            FaultRule(service, RESET, {"probability": probability(0.005, 0.02), "reset": True}),
            FaultRule(
                service, RESPONSE_LOST, {"probability": probability(0.005, 0.02), "response": {"abort_bytes": 0}}
            ),
            FaultRule(service, LATE, {"probability": probability(0.02, 0.06), "latency": {"min": 20, "max": 500}}),
            FaultRule(service, TOO_LATE, {"probability": probability(0.001, 0.004), "latency": _READ_TIMEOUT_MS + 300}),
        ]
    failed = {"ErrorCode": "InternalFailure", "ErrorMessage": "the entry was not accepted"}
    rule = {
        "operation": "PutEvents",
        "probability": probability(0.02, 0.06),
        # A response of 200 in which one entry failed.
        "error": {"code": "EntryFailed", "status": 200, "fields": {"FailedEntryCount": 1, "Entries": [failed]}},
    }
    found.append(FaultRule("events", ENTRY_FAILED, rule))
    return [fault._replace(rule={"service": fault.service, **fault.rule}) for fault in found]
