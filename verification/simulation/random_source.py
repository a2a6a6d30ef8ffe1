"""One seed, and everything that is left to chance drawn from it, by name.

A draw depends on the seed and on its own name alone, not on how many were drawn before. So a schedule from which one
fault is left out goes on as before, as far as that fault does not matter: that is what lets a trace be shortened.
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
        """A number from 0 to 1, 1 excluded."""
        digest = blake2b(name.encode(), digest_size=7, key=self._key).digest()
        return int.from_bytes(digest, "big") / (1 << 56)

    def hits(self, name: str, rate: float) -> bool:
        return rate > 0 and self.draw(name) < rate

    def between(self, name: str, low: float, high: float) -> float:
        """A number from `low` to `high`, each order of magnitude as likely as another."""
        return exp(log(low) + self.draw(name) * (log(high) - log(low)))

    def one_of(self, name: str, choices: Sequence[T]) -> T:
        return choices[int(self.draw(name) * len(choices))]

    def random_bytes(self, count: int) -> bytes:
        """Instead of `os.urandom`: ids are new each time, and the same for the same seed."""
        self._bytes_drawn += 1
        return blake2b(f"bytes {self._bytes_drawn}".encode(), digest_size=count, key=self._key).digest()
