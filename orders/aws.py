"""boto3 clients: one per service and process, made when first needed, with time-outs that fit inside a function's."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config


@cache
def client(service: str, *, attempts: int = 3) -> Any:
    """A client that tries each call `attempts` times in all, on throttling, server errors and lost connections."""
    return boto3.client(
        service,
        config=Config(
            connect_timeout=1,
            read_timeout=2,
            retries={"mode": "standard", "total_max_attempts": attempts},
        ),
    )
