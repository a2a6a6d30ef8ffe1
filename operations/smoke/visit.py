"""One run of the checks on a stage: their shared state, and how they wait."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from rich.console import Console

from operations.stack import Stack

T = TypeVar("T")

_TIMEOUT_SECONDS, _TIMEOUT_SECONDS_ON_AWS = 60, 600
_POLL_INTERVAL_SECONDS, _POLL_INTERVAL_SECONDS_ON_AWS = 0.2, 2
_LOG_INTERVAL_SECONDS = 60


class CheckFailed(Exception):
    """The check saw something unexpected; the message says what, in one line."""


class NotTried(Exception):
    """The check can't be made here; the message says why."""


class Visit:
    """`seconds` is how long each check may wait.

    On AWS Lambda retries after one and after two minutes, so that a dead letter takes over three; functions that start
    for the first time and a metric's first appearance take minutes as well.
    """

    def __init__(self, stack: Stack, screen: Console, *, seconds: float | None = None, outage: bool = False) -> None:
        self.stack = stack
        self.outage = outage
        self.started = datetime.now(UTC)
        self.accounts: list[str] = []
        """The addresses that signed up."""
        self._screen = screen
        self._seconds = seconds or (_TIMEOUT_SECONDS_ON_AWS if self.is_aws else _TIMEOUT_SECONDS)
        self._found: dict[str, Any] = {}

    @property
    def is_aws(self) -> bool:
        return self.stack.endpoint_url is None

    def keep(self, name: str, thing: Any) -> None:
        """Keep something that a check found for later checks."""
        self._found[name] = thing

    def has(self, name: str) -> bool:
        return name in self._found

    def need(self, name: str) -> Any:
        """Return it. Raises NotTried if the check that should have found it has failed."""
        if name not in self._found:
            raise NotTried(f"there is no {name}")
        return self._found[name]

    def wait(
        self,
        what: str,
        look: Callable[[], T],
        enough: Callable[[T], object] = bool,
        *,
        show: Callable[[T], str] = lambda seen: "nothing",
    ) -> T:
        """Poll `look` until its result is enough, and return it. Raises CheckFailed after the timeout."""
        started = time.monotonic()
        logged = 0.0
        with self._screen.status("") as status:
            while not enough(seen := look()):
                waited = time.monotonic() - started
                if waited >= self._seconds:
                    raise CheckFailed(f"after {waited:.0f} seconds there is no {what}; last seen: {show(seen)}")
                status.update(f"waiting for {what}, {waited:.0f} s of at most {self._seconds:.0f}")
                if not self._screen.is_terminal and waited // _LOG_INTERVAL_SECONDS > logged:
                    logged = waited // _LOG_INTERVAL_SECONDS
                    self._screen.print(f"  … waiting for {what}, {waited:.0f} s of at most {self._seconds:.0f}")
                time.sleep(_POLL_INTERVAL_SECONDS_ON_AWS if self.is_aws else _POLL_INTERVAL_SECONDS)
        return seen


def expect(what: str, seen: object, expected: object) -> None:
    """Raises CheckFailed."""
    if seen != expected:
        raise CheckFailed(f"{what} is {seen}, not {expected}")
