"""SQS's standard queues: a received message is hidden for a while, and visible again unless it is deleted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass
class QueueMessage:
    name: str
    """Its id; a receipt handle consists of it and of `received`."""
    body: str
    attributes: Mapping[str, str]
    sent_at: float
    visible_at: float
    received: int = 0


class Queue:
    def __init__(self, now: Callable[[], float]) -> None:
        self.messages: dict[str, QueueMessage] = {}
        self._now = now

    def send(self, body: str, name: str, attributes: Mapping[str, str] | None = None) -> QueueMessage:
        message = QueueMessage(name, body, attributes or {}, self._now(), self._now())
        while message.name in self.messages:
            message.name += "'"
        self.messages[message.name] = message
        return message

    def receive(self, most: int, visibility_timeout_seconds: float) -> list[QueueMessage]:
        """Return at most this many visible messages, and hide them."""
        found = [message for message in self.messages.values() if message.visible_at <= self._now()][:most]
        for message in found:
            message.visible_at = self._now() + visibility_timeout_seconds
            message.received += 1
        return found

    def hide(self, name: str, seconds: float) -> None:
        if name in self.messages:
            self.messages[name].visible_at = self._now() + seconds

    def delete(self, name: str) -> None:
        self.messages.pop(name, None)
