"""What an operator sees: one JSON line for each outcome, and business metrics in CloudWatch's embedded metric format.

Name, namespace and level come from the environment (`POWERTOOLS_…`), as Powertools documents them.
"""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

logger = Logger(xray_trace_id=None)  # nothing is traced: an id in each line that leads nowhere


def count(name: str, value: int = 1) -> None:
    """Add to a business metric."""
    with single_metric(name=name, unit=MetricUnit.Count, value=value):
        pass


def seconds(name: str, value: float) -> None:
    """Record a duration."""
    with single_metric(name=name, unit=MetricUnit.Seconds, value=value):
        pass
