"""The pause before a retry of our own: exponential, with full jitter, bounded.

The SDK retries a call that fails. But an entry of PutEvents and a key of BatchGetItem can fail inside a call that
succeeds, mostly because the service throttles. Those we retry, and without a pause the retries would add to the load.
https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
"""

import random
import time

ATTEMPTS = 4
"""How often the same entry or key is tried in all."""
_FIRST_SECONDS = 0.1


def longest_pause(attempt: int) -> float:
    """The longest pause after an attempt, in seconds. `attempt` counts from 1: 0.1, 0.2 and 0.4, 0.7 in all."""
    return float(_FIRST_SECONDS * 2 ** (attempt - 1))


def pause(attempt: int) -> None:
    """Sleep after an attempt that failed, but not after the last one. `attempt` counts from 1."""
    if attempt < ATTEMPTS:
        time.sleep(random.uniform(0, longest_pause(attempt)))
