"""Handlers in this process, with the stub in place of the network: botocore builds requests and reads responses."""

import io
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from types import SimpleNamespace
from typing import Any
from unittest import mock
from uuid import uuid4

from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session

from verification.bench.journey import Invoke
from verification.bench.stub import Stub

Answering = Callable[[Stub], AbstractContextManager[None]]


class Clock:
    """Processor time of this thread, without the stub's."""

    def __init__(self) -> None:
        self.aside = 0

    def now(self) -> int:
        """In nanoseconds."""
        return time.thread_time_ns() - self.aside


CLOCK = Clock()


class _Body(io.BytesIO):
    """As urllib3's response is read."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


@contextmanager
def stubbed(environment: Mapping[str, str]) -> Iterator[Answering]:
    """In the block, no request leaves the process; `with answering(stub)` chooses the stub that responds."""
    current: list[Stub] = []

    def send(_: URLLib3Session, request: Any) -> AWSResponse:
        since = time.thread_time_ns()
        body = request.body or b""
        target = request.headers.get("x-amz-target", b"")
        status, answer = current[-1].answer(
            target.decode() if isinstance(target, bytes) else target,
            "/" + request.url.split("/", 3)[3],
            body.encode() if isinstance(body, str) else bytes(body),
        )
        headers: Any = {"content-length": str(len(answer))}
        response = AWSResponse(request.url, status, headers, _Body(answer))
        CLOCK.aside += time.thread_time_ns() - since
        return response

    @contextmanager
    def answering(stub: Stub) -> Iterator[None]:
        current.append(stub)
        try:
            yield
        finally:
            current.pop()

    with mock.patch.dict(os.environ, environment), mock.patch.object(URLLib3Session, "send", send):
        yield answering


def calling(handlers: Mapping[str, Callable[[Any, Any], Any]]) -> Invoke:
    """Calls a function by its name, as Lambda does. Raises RuntimeError if the invocation failed."""

    def call(function: str, event: Any) -> Any:
        context = SimpleNamespace(aws_request_id=str(uuid4()), **_ABOUT)
        with redirect_stdout(io.StringIO()):
            answer = handlers[function](event, context)
        if answer and (answer.get("batchItemFailures") or answer.get("statusCode", 201) != 201):
            raise RuntimeError(f"{function}: {answer}")
        return answer

    return call


_ABOUT = {
    "function_name": "bench",
    "function_version": "$LATEST",
    "invoked_function_arn": "arn:aws:lambda:us-east-1:000000000000:function:bench",
    "memory_limit_in_mb": 512,
    "get_remaining_time_in_millis": lambda: 10_000,
}
