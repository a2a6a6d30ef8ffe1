"""The kinds of faults, and the places where they strike, drawn from a seed or listed in a script."""

from collections.abc import Collection, Mapping
from enum import Enum
from hashlib import blake2b
from typing import Protocol

from verification.simulation.random_source import RandomSource


class FaultKind(Enum):
    """A kind of fault; its value is the text in the trace."""

    # to a call of AWS, or of the payment gateway
    CRASH_BEFORE = "the process dies before the call"
    CRASH_AFTER = "the process dies after the call took effect"
    THROTTLED = "throttled"
    BROKEN = "fails with a server error"
    LOST = "takes effect, but the response is lost"
    SLOW = "takes seconds"
    HANGS = "hangs until the function's time-out"
    HANGS_AFTER = "takes effect, then hangs until the function's time-out"
    ENTRY_FAILED = "the call succeeds, an entry fails"
    REJECTED = "is rejected for good"
    PART_LEFT_OUT = "returns only a part of the result"
    TAKES_EFFECT_LATER = "times out, and takes effect minutes later"
    # to an invocation
    DIES_AT_START = "the process dies before the handler begins"
    DIES_AT_END = "the process dies after the handler returned"
    NOT_STARTED = "Lambda throttles the invocation"
    # to a delivery
    TWICE = "is delivered twice"
    LATE = "is delivered late"
    TO_DEAD_LETTERS = "can't be delivered, and goes to the dead-letter queue"
    DROPPED = "is never delivered"
    # around them
    GATEWAY_DOWN = "the payment gateway is down"
    BUS_DOWN = "the bus is down"
    KEYS_LEFT_OUT = "the table is throttled, and every key of the batch is left out"
    INDEX_LAGS = "the index lags behind"
    FORGED = "an event is forged"
    REDRIVEN = "an operator redrives the dead letters"
    REPLAYED = "an operator replays the archive"
    ASKED_TWICE = "the customer clicks twice"
    CANCELLED_BY_ANOTHER = "another customer tries to cancel the order"


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
DELIVERY_TO_RECORDER = (FaultKind.TWICE, FaultKind.LATE, FaultKind.TO_DEAD_LETTERS)
"""EventBridge promises to deliver. The other consumers are tested without that promise: the reconciler heals it."""
DELIVERY = (*DELIVERY_TO_RECORDER, FaultKind.DROPPED)

_RATES = (0.004, 0.12)
"""The lowest and the highest share of its places at which a kind of fault strikes."""
_RARE_PLACES = {
    FaultKind.GATEWAY_DOWN,
    FaultKind.BUS_DOWN,
    FaultKind.KEYS_LEFT_OUT,
    FaultKind.FORGED,
    FaultKind.REDRIVEN,
    FaultKind.REPLAYED,
    FaultKind.ASKED_TWICE,
    FaultKind.REJECTED,
    FaultKind.ENTRY_FAILED,
    FaultKind.TAKES_EFFECT_LATER,
    FaultKind.CANCELLED_BY_ANOTHER,
}
"""These kinds have few places, so they strike at a larger share of them."""
_RATES_AT_RARE_PLACES = (0.02, 0.25)


def short(place: str) -> str:
    """Shorten the name of a place for the command line."""
    return blake2b(place.encode(), digest_size=4).hexdigest()


class Faults(Protocol):
    """Decides which faults strike. Each place has a name that is the same whenever the schedule is repeated."""

    def at(self, place: str, kinds: Collection[FaultKind]) -> FaultKind | None:
        """Return the fault that strikes at a place, one of these kinds, or None."""


class FaultInjector:
    """Faults drawn from a seed. Each schedule has its own fault profile: some kinds are absent, others frequent.

    (This is "swarm testing", Groce et al., ISSTA 2012: random subsets of the kinds find more than all kinds at once.)
    """

    def __init__(self, rng: RandomSource, only: Collection[str] | None = None) -> None:
        """With `only`, faults strike only at the places with these short names."""
        self._rng = rng
        self._only = only
        self.active = not rng.hits("fine weather", 0.05)
        self.rates: dict[FaultKind, float] = {
            kind: rng.between(f"rate of {kind.name}", *(_RATES_AT_RARE_PLACES if kind in _RARE_PLACES else _RATES))
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
    """The listed faults, each at its place, and no others."""

    def __init__(self, faults: Mapping[str, FaultKind]) -> None:
        self._faults = faults

    def at(self, place: str, kinds: Collection[FaultKind]) -> FaultKind | None:
        fault = self._faults.get(place)
        return fault if fault in kinds else None
