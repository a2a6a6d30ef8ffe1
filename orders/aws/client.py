"""boto3 clients: one per service and process, made when first needed, with time-outs far shorter than boto3's minute.

A call that hangs once is tried again while its function still has time. Where every attempt hangs, the function's own
time-out ends it, as a crash would: each step is made for that.
"""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config


@cache
def client(service: str, *, attempts: int = 3, read_timeout: float = 2) -> Any:
    """A client that tries each call `attempts` times in all, on throttling, server errors and lost connections.

    `read_timeout` is how many seconds it waits for a response.
    """
    return boto3.client(  # type: ignore[call-overload] # the stubs know literal names only
        service,
        config=Config(
            connect_timeout=1,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
        ),
    )
