"""What serverless.yml and resources/ deploy, as the simulated cloud needs it: functions, queues, rules and targets."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from tools import topology
from verification import matching

_ACCOUNT = "us-east-1:000000000000"


def queue_url(queue: str) -> str:
    """The URL of a queue by its logical id."""
    return f"https://sqs.invalid/{queue}"


def function_arn(function: str) -> str:
    return f"arn:aws:lambda:{_ACCOUNT}:function:{function}"


@dataclass(frozen=True)
class QueueTrigger:
    """The queue that invokes a function, how Lambda polls it, and the topic that the queue subscribes to."""

    function: str
    queue_url: str
    dead_letter_queue_url: str
    topic_arn: str
    batch_size: int
    concurrency: int
    visibility_timeout_seconds: int
    max_receives: int


@cache
def queue_trigger(function: str) -> QueueTrigger | None:
    """None for a function that no queue invokes."""
    if topology.trigger(function) != "queue":
        return None
    [trigger] = [each["sqs"] for each in topology.service()["functions"][function]["events"]]
    assert trigger["functionResponseType"] == "ReportBatchItemFailures"
    [topic] = [
        each["TopicArn"]["Ref"]
        for each in topology.of_type("AWS::SNS::Subscription").values()
        if each["Endpoint"] == trigger["arn"]
    ]
    queue = _logical_id(trigger["arn"])
    properties = QUEUES[queue]
    redrive = properties["RedrivePolicy"]
    return QueueTrigger(
        function=function,
        queue_url=queue_url(queue),
        dead_letter_queue_url=queue_url(_logical_id(redrive["deadLetterTargetArn"])),
        topic_arn=f"arn:aws:sns:{_ACCOUNT}:{topic}",
        batch_size=int(trigger["batchSize"]),
        concurrency=int(topology.setting(trigger["maximumConcurrency"])),
        visibility_timeout_seconds=int(properties["VisibilityTimeout"]),
        max_receives=int(topology.setting(redrive["maxReceiveCount"])),
    )


@cache
def targets(source: str, detail_type: str, replayed: bool) -> list[tuple[str, str]]:
    """The rules that match an event, each with the function that it reaches."""
    event = {"source": source, "detail-type": detail_type, "detail": {}, **({"replay-name": "r"} if replayed else {})}
    return [(rule, function) for rule, pattern, function in topology.rules() if matching.matches(pattern, event)]


@cache
def handler(function: str) -> Callable[[Any, Any], Any]:
    return import_module(topology.handler(function)).handler  # type: ignore[no-any-return]


@cache
def function_of(route: str) -> str:
    """The function that serves a route of the API, such as `GET /orders`."""
    [found] = [each for each in API_FUNCTIONS if route in topology.routes(each)]
    return found


def _logical_id(arn: Any) -> str:
    return str(arn["Fn::GetAtt"]).partition(".")[0]


API_FUNCTIONS = [each for each in topology.functions() if topology.trigger(each) == "api"]
SCHEDULED_FUNCTIONS = [each for each in topology.functions() if topology.trigger(each) == "schedule"]
QUEUES = topology.of_type("AWS::SQS::Queue")
QUEUE_TRIGGERS = [trigger for each in topology.functions() if (trigger := queue_trigger(each))]
DEAD_LETTER_QUEUE_URLS = [queue_url(each) for each, properties in QUEUES.items() if "RedrivePolicy" not in properties]
[DEAD_LETTER_QUEUE_URL] = set(DEAD_LETTER_QUEUE_URLS) - {each.dead_letter_queue_url for each in QUEUE_TRIGGERS}
"""For the failed invocations of functions without a queue, and for events that EventBridge can't deliver."""
