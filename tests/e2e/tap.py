"""A queue of a test's own that gets a copy of whatever passes: on the event bus, or through the notification topic."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from tests.e2e.cloud import Cloud
from tests.e2e.waiting import wait_for


class Tap:
    def __init__(self, cloud: Cloud, url: str) -> None:
        self._cloud = cloud
        self._url = url
        self._caught: list[Any] = []

    def caught(self) -> list[Any]:
        """Every event so far, as the envelope that its targets get."""
        sqs = self._cloud.client("sqs")
        while messages := sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                self._caught.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return self._caught

    def until(self, event_id: str) -> list[Any]:
        """Everything that was put before this event, and the event; the bus here delivers in order."""
        return wait_for(
            "last event in the tap", self.caught, lambda caught: event_id in {event["id"] for event in caught}
        )


@contextmanager
def tap_of_the_bus(cloud: Cloud) -> Iterator[Tap]:
    """Also what is replayed."""
    events, bus, rule = cloud.client("events"), cloud.stack["EventBusName"], f"tap-{uuid4()}"
    pattern = json.dumps({"source": [{"prefix": ""}]})
    arn = events.put_rule(Name=rule, EventBusName=bus, EventPattern=pattern)["RuleArn"]
    with _queue(cloud, "events.amazonaws.com", arn) as (url, queue):
        events.put_targets(Rule=rule, EventBusName=bus, Targets=[{"Id": "tap", "Arn": queue}])
        yield Tap(cloud, url)
        events.remove_targets(Rule=rule, EventBusName=bus, Ids=["tap"])
    events.delete_rule(Name=rule, EventBusName=bus)


@contextmanager
def tap_of_the_topic(cloud: Cloud) -> Iterator[Tap]:
    """What goes to the notification queue, which is empty again before anybody can look."""
    sns, topic = cloud.client("sns"), cloud.stack["OrderNotificationTopicArn"]
    with _queue(cloud, "sns.amazonaws.com", topic) as (url, queue):
        subscription = sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=queue,
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        )
        yield Tap(cloud, url)
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])


@contextmanager
def _queue(cloud: Cloud, service: str, source: str) -> Iterator[tuple[str, str]]:
    """URL and ARN of a queue that a service may send to, for one source."""
    sqs = cloud.client("sqs")
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
