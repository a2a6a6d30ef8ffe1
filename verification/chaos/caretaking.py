"""What heals while and after everything fails: the reconciler, and an operator who redrives the dead letters.

The reconciler runs each few seconds, not each minute as the schedule has it: else a run would mostly wait.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.dead_letters import Undelivered, redrive
from operations.stack import Stack
from orders.aws.dynamodb import from_item
from tools import topology

RECONCILE_EVERY = 4
REDRIVE_EVERY = 8
_BATCH = 10


class Tap:
    """A queue of its own that gets every event on the bus, but for replays."""

    def __init__(self, stack: Stack) -> None:
        self.published: dict[str, Mapping[str, Any]] = {}
        self._sqs = stack.client("sqs")
        self._queue = self._sqs.create_queue(QueueName="chaos-tap")["QueueUrl"]
        of_queue = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]
        bus, events = stack.outputs["EventBusName"], stack.client("events")
        pattern = json.dumps({"replay-name": [{"exists": False}]})
        events.put_rule(Name="chaos-tap", EventBusName=bus, EventPattern=pattern)
        events.put_targets(Rule="chaos-tap", EventBusName=bus, Targets=[{"Id": "queue", "Arn": of_queue["QueueArn"]}])

    def drain(self) -> None:
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=_BATCH).get("Messages"):
            for message in messages:
                event = json.loads(message["Body"])
                self.published[event["id"]] = event
            handles = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(messages)]
            self._sqs.delete_message_batch(QueueUrl=self._queue, Entries=handles)


class Caretaker:
    """`stack` is reached as it is, `disturbed` through the proxy: an operator's calls fail as well."""

    def __init__(self, stack: Stack, disturbed: Stack) -> None:
        self.redriven: Counter[str] = Counter()
        """Dead letters, by the consumer that had failed on them."""
        self.interrupted = 0
        """Redrives that a fault ended."""
        self.tap = Tap(stack)
        self._stack = stack
        self._disturbed = disturbed
        self._reconciled = self._redrove = time.monotonic()

    def tick(self, *, calm: bool) -> None:
        """Do what is due."""
        self.tap.drain()
        now = time.monotonic()
        if now - self._reconciled > RECONCILE_EVERY:
            name = self._stack.function("reconciler")
            self._stack.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
            self._reconciled = now
        if now - self._redrove > REDRIVE_EVERY or (calm and self._dead_letters()):
            self._redrive(self._stack if calm else self._disturbed)
            self._redrove = time.monotonic()

    def _redrive(self, stack: Stack) -> None:
        try:
            for letter in redrive(stack):
                self.redriven[letter.consumer.removeprefix(stack.function(""))] += 1
        except (ClientError, BotoCoreError, Undelivered):
            self.interrupted += 1

    def open_orders(self) -> set[str]:
        """By the sparse index that the reconciler reads."""
        return {item["orderId"] for item in scan(self._stack, "OrdersTableName", IndexName="openOrders")}

    def is_quiet(self) -> bool:
        """Whether nothing moves any more: no order is open, no queue holds a message, every event is in the log."""
        urls = [self._stack.outputs[name] for name in ("NotificationQueueUrl", *_DEAD)]
        if self.open_orders() or any(self._messages(url) for url in urls):
            return False
        self.tap.drain()
        return self.tap.published.keys() <= {row["eventId"] for row in scan(self._stack, "AuditLogTableName")}

    def _dead_letters(self) -> int:
        return sum(self._messages(self._stack.outputs[name], visible_only=True) for name in _DEAD)

    def _messages(self, queue_url: str, *, visible_only: bool = False) -> int:
        names = ["ApproximateNumberOfMessages"]
        names += [] if visible_only else ["ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        sqs = self._stack.client("sqs")
        return sum(map(int, sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"].values()))


_DEAD = topology.dead_letter_outputs()


def scan(stack: Stack, table: str, **options: Any) -> list[dict[str, Any]]:
    """All items of a table, or of an index, as plain values."""
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs[table], **options)
    return [from_item(item) for page in pages for item in page["Items"]]
