"""The one reader of the dead-letter queues in this process."""

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import NamedTuple

from operations.dead_letters import DeadLetter, dead_letters, redrive
from operations.stack import Stack
from tools import topology

_SHARE_OF_TIME = 3
"""Reading ten thousand dead letters takes long: the next reading starts after this many times the last duration."""


class Depth(NamedTuple):
    """How many messages the queues hold."""

    visible: int
    held: int
    """Hidden by another process that reads, redrives or purges right now."""


class DeadLetterQueues:
    """Reads and redrives take turns: reading hides the dead letters for a moment, and a redrive would find none.

    `on_read` is called after each reading, with whether it was complete: messages that another process holds are not in
    it. `on_redriven` is called for each dead letter that was delivered again.
    """

    def __init__(
        self,
        stack: Stack,
        on_read: Callable[[Sequence[DeadLetter], bool], object],
        on_redriven: Callable[[DeadLetter], object],
    ) -> None:
        self._stack, self._on_read, self._on_redriven = stack, on_read, on_redriven
        self._sqs = stack.client("sqs")
        self._turn = Lock()
        self._began = self._took = float("-inf")
        self._letters: Sequence[DeadLetter] = ()

    def letters(self) -> Sequence[DeadLetter]:
        """The dead letters, from a reading that began after this call did; all waiting calls share the next reading."""
        asked = time.monotonic()
        with self._turn:
            if self._began <= asked:
                self._read()
            return self._letters

    def redrive(self) -> int:
        """Redrive all dead letters, and return how many. Raises Undelivered."""
        delivered = 0
        with self._turn:
            for letter in redrive(self._stack):
                delivered += 1
                self._on_redriven(letter)
        return delivered

    def look(self, *, known: int) -> None:
        """Read the dead letters if there may be new ones, nobody holds any, and it is not too soon."""
        with self._turn:
            depth = self.depth()
            if depth.held or depth.visible == known or time.monotonic() < self._began + _SHARE_OF_TIME * self._took:
                return
            self._read()

    def depth(self) -> Depth:
        """The number of messages. This hides none."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = [
            self._sqs.get_queue_attributes(QueueUrl=self._stack.outputs[output], AttributeNames=names)["Attributes"]
            for output in topology.dead_letter_outputs()
        ]
        visible, held = (sum(int(each[name]) for each in counts) for name in names)
        return Depth(visible, held)

    def _read(self) -> None:
        began = time.monotonic()
        letters = dead_letters(self._stack)
        self._letters, self._began, self._took = letters, began, time.monotonic() - began
        depth = self.depth()
        self._on_read(letters, depth.held == 0 and depth.visible <= len(letters))
