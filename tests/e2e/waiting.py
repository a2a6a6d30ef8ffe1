"""Waiting for what must come, with a message that says what was there when it did not."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE = 0.05  # between two looks


def wait_for(what: str, look: Callable[[], T], enough: Callable[[T], object] = bool, *, seconds: float = 60) -> T:
    """The first look that is enough. Fails with the last look when the seconds are over."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if enough(seen):
            return seen
        assert time.monotonic() < deadline, f"after {seconds:.0f} seconds there is no {what}; last seen: {seen}"
        time.sleep(PAUSE)
