"""What an operator sees: one JSON line for each outcome, and business metrics in CloudWatch's embedded metric format.

The names of service and namespace come from the environment (`POWERTOOLS_…`), as Powertools documents them. So does
the level, but it is set on the log handler: on Lambda, Powertools' own level gives way to Lambda's, which must stay at
INFO, because the metrics' lines have no level and Lambda treats such lines as INFO.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

# Nothing is traced, so a trace id would lead nowhere. Lambda understands no timestamps but RFC 3339's.
logger = Logger(xray_trace_id=None, use_rfc3339=True)


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


def count(name: str, value: int = 1) -> None:
    """Add to a business metric."""
    with _own_line(), single_metric(name=name, unit=MetricUnit.Count, value=value):
        pass


def seconds(name: str, value: float) -> None:
    """Record a duration."""
    with _own_line(), single_metric(name=name, unit=MetricUnit.Seconds, value=value):
        pass
