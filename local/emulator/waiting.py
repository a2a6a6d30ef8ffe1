"""Waiting for a condition, never for time to pass."""

import time
from collections.abc import Callable
from typing import TypeVar

from local.emulator.state import LocalError

T = TypeVar("T")


def until(condition: Callable[[], T], *, seconds: float, what: str, every: float = 0.05) -> T:
    """The condition's first true result. After the seconds, raises LocalError, which names the awaited condition."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise LocalError(f"waited {seconds:.0f} seconds in vain for {what}")
        time.sleep(every)
    return result
