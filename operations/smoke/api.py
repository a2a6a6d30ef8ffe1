"""The HTTP API as any client sees it: a status, headers and JSON, whatever the status is."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, NamedTuple

from operations.smoke.visit import CheckFailed
from operations.stack import Stack

_TIMEOUT_SECONDS = 60


class HttpResponse(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: Any


def call(
    stack: Stack, method: str, path: str, *, token: str | None = None, body: object = None, key: str | None = None
) -> HttpResponse:
    """Send one request. Raises OSError if there is no response, and CheckFailed if the response is not JSON."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    headers |= {"idempotency-key": key} if key else {}
    headers |= {"content-type": "application/json"} if body is not None else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(stack.api_url + path, method=method, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            return _read(method, path, response)
    except urllib.error.HTTPError as error:
        with error:
            return _read(method, path, error)


def _read(method: str, path: str, response: Any) -> HttpResponse:
    try:
        return HttpResponse(response.status, response.headers, json.loads(response.read()))
    except ValueError:
        raise CheckFailed(f"{method} {path} returned {response.status} without JSON") from None
