"""Logs and metrics: one JSON line for each outcome, and business metrics in CloudWatch's embedded metric format.

Most outcomes are counted: then the metric's line says in `message` what happened, with the order's ids.

The names of service and namespace come from the environment (`POWERTOOLS_…`), as Powertools documents them. So does
the level, but it is set on the log handler: on Lambda, Powertools' own level gives way to Lambda's, which must stay at
INFO, because the metrics' lines have no level and Lambda treats such lines as INFO.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

# Nothing is traced, so a trace id would lead nowhere. Lambda understands only RFC 3339's timestamps.
logger = Logger(xray_trace_id=None, use_rfc3339=True)

_IDS = ("orderId", "correlationId")


def set_level() -> None:
    """Print no line below `POWERTOOLS_LOG_LEVEL`: INFO, WARN or ERROR. Metrics are printed at every level."""
    logger.registered_handler.setLevel(os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO"))


set_level()


@contextmanager
def _own_line() -> Iterator[None]:
    """Print a metric while no thread logs: a metric's text and its line's end are printed one after the other."""
    handler = logger.registered_handler
    handler.acquire()
    try:
        yield
    finally:
        handler.release()


def count(name: str, value: int = 1, **fields: object) -> None:
    """Add to a business metric. `fields`, such as `message`, are in the same line."""
    _print(name, MetricUnit.Count, value, fields)


def seconds(name: str, value: float, **fields: object) -> None:
    """Record a duration. `fields`, such as `message`, are in the same line."""
    _print(name, MetricUnit.Seconds, value, fields)


def _print(name: str, unit: MetricUnit, value: float, fields: Mapping[str, object]) -> None:
    """Print a metric's line, with the order's ids where the log lines have them."""
    keys = logger.get_current_keys()
    ids = {key: keys[key] for key in _IDS if key in keys}
    with _own_line(), single_metric(name=name, unit=unit, value=value) as line:
        for key, field in {**ids, **fields}.items():
            if field is not None:
                line.add_metadata(key, field)
