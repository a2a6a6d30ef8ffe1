"""boto3's clients: one per service and process, made when first needed, with time-outs far below boto3's 60 seconds.

The SDK retries a call that hangs once while its function still has time. When every attempt hangs, the function's own
time-out ends it like a crash; every step survives that.
"""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

MOST_THREADS = 64
"""How many threads may use a client at once, each with a connection of its own; boto3's default is 10."""


@cache
def client(service: str, *, attempts: int = 3, read_timeout: float = 2) -> Any:
    """A client that makes each call at most `attempts` times: it retries throttling, server errors, lost connections.

    It waits `read_timeout` seconds for a response.
    """
    return boto3.client(  # type: ignore[call-overload] # the stubs know literal names only
        service,
        config=Config(
            connect_timeout=1,
            max_pool_connections=MOST_THREADS,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
        ),
    )
