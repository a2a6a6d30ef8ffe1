"""Recovery: runs the reconciler, and redrives the dead letters as an operator would.

The reconciler runs every few seconds here, and not every minute as scheduled: a chaos run would mostly wait.
"""

import time
from collections import Counter
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.dead_letters import Undelivered, redrive
from operations.stack import Stack
from orders.aws.dynamodb import from_item
from tools import topology
from verification.tap import Tap

_RECONCILE_INTERVAL_SECONDS = 4
_REDRIVE_INTERVAL_SECONDS = 8


class Recovery:
    """Calls `stack` directly and `disturbed` through the proxy, since an operator's calls fail as well."""

    def __init__(self, stack: Stack, disturbed: Stack, tap: Tap) -> None:
        self.redriven: Counter[str] = Counter()
        """The number of dead letters, by the consumer that had failed."""
        self.interrupted = 0
        """Redrives that a fault ended."""
        self._tap = tap
        self._stack = stack
        self._disturbed = disturbed
        self._reconciled_at = self._redriven_at = time.monotonic()

    def tick(self, *, faults_ended: bool) -> None:
        """Reconcile and redrive, each at its interval; dead letters at once after the last fault."""
        self._tap.events()  # so that the queue stays short
        now = time.monotonic()
        if now - self._reconciled_at > _RECONCILE_INTERVAL_SECONDS:
            name = self._stack.function("reconciler")
            self._stack.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
            self._reconciled_at = now
        if now - self._redriven_at > _REDRIVE_INTERVAL_SECONDS or (faults_ended and self._dead_letters()):
            self._redrive(self._stack if faults_ended else self._disturbed)
            self._redriven_at = time.monotonic()

    def _redrive(self, stack: Stack) -> None:
        try:
            for letter in redrive(stack):
                self.redriven[letter.consumer.removeprefix(stack.function(""))] += 1
        except (ClientError, BotoCoreError, Undelivered):
            self.interrupted += 1

    def open_orders(self) -> set[str]:
        """Return the ids of the open orders, from the sparse index that the reconciler reads."""
        return {item["orderId"] for item in scan(self._stack, "OrdersTableName", IndexName="openOrders")}

    def has_ended(self) -> bool:
        """Whether no order is open, no queue holds a message, and the audit log has every event."""
        urls = [self._stack.outputs[name] for name in ("NotificationQueueUrl", *_DEAD)]
        if self.open_orders() or any(self._messages(url) for url in urls):
            return False
        logged = {row["eventId"] for row in scan(self._stack, "AuditLogTableName")}
        return {event["id"] for event in self._tap.events()} <= logged

    def _dead_letters(self) -> int:
        return sum(self._messages(self._stack.outputs[name], visible_only=True) for name in _DEAD)

    def _messages(self, queue_url: str, *, visible_only: bool = False) -> int:
        names = ["ApproximateNumberOfMessages"]
        names += [] if visible_only else ["ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        sqs = self._stack.client("sqs")
        return sum(map(int, sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"].values()))


_DEAD = topology.dead_letter_outputs()


def scan(stack: Stack, table: str, **options: Any) -> list[dict[str, Any]]:
    """Return all items of a table, or of an index, as plain values."""
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs[table], **options)
    return [from_item(item) for page in pages for item in page["Items"]]
