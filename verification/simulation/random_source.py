"""The random source: every random value of a run is drawn from its seed, by name.

A draw depends on the seed and its own name only, not on earlier draws. So a schedule without one of its faults stays
the same where that fault does not matter, and its trace can be shortened. Don't rename a draw: it would have another
value, and every recorded schedule would change.
"""

from collections.abc import Sequence
from hashlib import blake2b
from math import exp, log
from typing import TypeVar

T = TypeVar("T")


class RandomSource:
    """Draws by name: the same seed and name give the same value, in any process."""

    def __init__(self, seed: int) -> None:
        self._key = str(seed).encode()
        self._bytes_drawn = 0

    def draw(self, name: str) -> float:
        """Return a number from 0 to 1, 1 excluded."""
        digest = blake2b(name.encode(), digest_size=7, key=self._key).digest()
        return int.from_bytes(digest, "big") / (1 << 56)

    def hits(self, name: str, rate: float) -> bool:
        return rate > 0 and self.draw(name) < rate

    def between(self, name: str, low: float, high: float) -> float:
        """Return a number from `low` to `high`; each order of magnitude is equally likely."""
        return exp(log(low) + self.draw(name) * (log(high) - log(low)))

    def one_of(self, name: str, choices: Sequence[T]) -> T:
        return choices[int(self.draw(name) * len(choices))]

    def random_bytes(self, count: int) -> bytes:
        """Replace `os.urandom`: new bytes at each call, the same for the same seed."""
        self._bytes_drawn += 1
        return blake2b(f"bytes {self._bytes_drawn}".encode(), digest_size=count, key=self._key).digest()
