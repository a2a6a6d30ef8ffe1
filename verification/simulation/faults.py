"""What can go wrong, and where: the fault injector draws faults from a seed, a script names each of them."""

from collections.abc import Collection, Mapping
from enum import Enum
from hashlib import blake2b
from typing import Protocol

from verification.simulation.random_source import RandomSource


class FaultKind(Enum):
    """What happens at one place of a run; the value is the text that the trace shows."""

    # to a call of AWS, or of the payment gateway
    CRASH_BEFORE = "the process dies before the call"
    CRASH_AFTER = "the process dies after the call took effect"
    THROTTLED = "throttled"
    BROKEN = "answered with a server error"
    LOST = "took effect, but the answer is lost"
    SLOW = "takes seconds"
    HANGS = "hangs until the function's time-out"
    HANGS_AFTER = "took effect, then hangs until the function's time-out"
    ENTRY_FAILED = "PutEvents succeeds, its entry fails"
    REJECTED = "is refused for good"
    PART_LEFT_OUT = "answers with a part of what was asked for"
    # to an invocation
    DIES_AT_START = "the process dies before the handler begins"
    DIES_AT_END = "the process dies when the handler has returned"
    NOT_STARTED = "Lambda throttles the invocation"
    # to a delivery
    TWICE = "is delivered twice"
    LATE = "is delivered late"
    TO_DEAD_LETTERS = "can't be delivered, and goes to the dead-letter queue"
    DROPPED = "is never delivered"
    # to what lies around
    GATEWAY_DOWN = "the payment gateway is down"
    KEYS_LEFT_OUT = "the table is throttled, and every key of the batch is left out"
    INDEX_LAGS = "the index lags behind"
    FORGED = "an event is put on the bus by hand"
    REDRIVEN = "an operator redrives the dead letters"
    REPLAYED = "an operator replays the archive"
    ASKED_TWICE = "the customer clicks twice"


CALL = (
    FaultKind.CRASH_BEFORE,
    FaultKind.CRASH_AFTER,
    FaultKind.THROTTLED,
    FaultKind.BROKEN,
    FaultKind.LOST,
    FaultKind.SLOW,
    FaultKind.HANGS,
    FaultKind.HANGS_AFTER,
)
INVOCATION = (FaultKind.DIES_AT_START, FaultKind.DIES_AT_END, FaultKind.NOT_STARTED)
DELIVERY = (FaultKind.TWICE, FaultKind.LATE, FaultKind.TO_DEAD_LETTERS, FaultKind.DROPPED)


_RATES = (0.004, 0.12)
"""Of each place that is asked about, how many it strikes: the least and the most."""
_SELDOM_ASKED = {
    FaultKind.GATEWAY_DOWN,
    FaultKind.KEYS_LEFT_OUT,
    FaultKind.FORGED,
    FaultKind.REDRIVEN,
    FaultKind.REPLAYED,
    FaultKind.ASKED_TWICE,
    FaultKind.REJECTED,
    FaultKind.ENTRY_FAILED,
}
"""There are few places for these, so they strike more of them."""
_WHERE_SELDOM_ASKED = (0.02, 0.25)


def short(place: str) -> str:
    """A place's name as a command can carry it."""
    return blake2b(place.encode(), digest_size=4).hexdigest()


class Faults(Protocol):
    """Decides what goes wrong. Each place is asked about once, by a name that is the same in each repetition."""

    def at(self, place: str, kinds: Collection[FaultKind]) -> FaultKind | None:
        """The fault at a place, of the kinds that can happen there; None where all goes well."""


class FaultInjector:
    """Faults from a seed. Each schedule has a fault profile of its own: some kinds are absent, others frequent.

    (That is "swarm testing", Groce et al., ISSTA 2012: a random subset of what can happen finds more than all of it.)
    """

    def __init__(self, rng: RandomSource, only: Collection[str] | None = None) -> None:
        """With `only`, nothing goes wrong but at the places whose short names are in it."""
        self._rng = rng
        self._only = only
        self.active = not rng.hits("fine weather", 0.05)
        self.rates: dict[FaultKind, float] = {
            kind: rng.between(f"rate of {kind.name}", *(_WHERE_SELDOM_ASKED if kind in _SELDOM_ASKED else _RATES))
            for kind in FaultKind
            if rng.hits(f"is there {kind.name}", 0.5)
        }

    def at(self, place: str, kinds: Collection[FaultKind]) -> FaultKind | None:
        if not self.active:
            return None
        drawn = self._rng.draw(f"fault {place}")
        for kind in kinds:
            rate = self.rates.get(kind, 0.0)
            if drawn < rate:
                return kind if self._only is None or short(place) in self._only else None
            drawn -= rate
        return None


class ScriptedFaults:
    """Faults by name, each at its place, and no others."""

    def __init__(self, faults: Mapping[str, FaultKind]) -> None:
        self._faults = faults

    def at(self, place: str, kinds: Collection[FaultKind]) -> FaultKind | None:
        fault = self._faults.get(place)
        return fault if fault in kinds else None
