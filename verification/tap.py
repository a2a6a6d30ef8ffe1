"""A queue that gets a copy of every event on the bus, or of every message of a topic."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from verification.evidence import Envelope

EVERY_EVENT = {"source": [{"prefix": ""}]}
NO_REPLAY = {"replay-name": [{"exists": False}]}
_BATCH = 10  # the most that SQS returns at once
Client = Callable[[str], Any]
"""boto3's client of a service, by its name."""


class Tap:
    """The messages that the queue has received so far."""

    def __init__(self, sqs: Any, queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._events: list[Envelope] = []

    def events(self) -> list[Envelope]:
        """Every event so far, in the order of arrival; a replayed one is listed again, with its `replay-name`."""
        while messages := self._receive():
            self._events += [json.loads(message["Body"]) for message in messages]
            handles = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(messages)]
            self._sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=handles)
        return self._events

    def _receive(self) -> list[Any]:
        received = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=_BATCH)
        return list(received.get("Messages", []))


@contextmanager
def tap_of_bus(client: Client, bus: str, pattern: Any = EVERY_EVENT) -> Iterator[Tap]:
    """A tap with a rule and a queue of its own, which exist for the block."""
    events, rule = client("events"), f"tap-{uuid4()}"
    arn = events.put_rule(Name=rule, EventBusName=bus, EventPattern=json.dumps(pattern))["RuleArn"]
    with _queue(client, "events.amazonaws.com", arn) as (url, queue):
        events.put_targets(Rule=rule, EventBusName=bus, Targets=[{"Id": "tap", "Arn": queue}])
        yield Tap(client("sqs"), url)
        events.remove_targets(Rule=rule, EventBusName=bus, Ids=["tap"])
    events.delete_rule(Name=rule, EventBusName=bus)


@contextmanager
def tap_of_topic(client: Client, topic: str) -> Iterator[Tap]:
    """The messages to the topic's subscribers, whose own queues are empty again before anybody can read them."""
    sns = client("sns")
    with _queue(client, "sns.amazonaws.com", topic) as (url, queue):
        subscription = sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=queue,
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        )
        yield Tap(client("sqs"), url)
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])


@contextmanager
def _queue(client: Client, service: str, source: str) -> Iterator[tuple[str, str]]:
    """URL and ARN of a queue to which a service may send on behalf of one source."""
    sqs = client("sqs")
    url = sqs.create_queue(QueueName=f"tap-{uuid4()}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    yield url, arn
    sqs.delete_queue(QueueUrl=url)
