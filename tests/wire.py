"""The code's calls to AWS, seen and disturbed at the SDK's own hooks: the clients, their retries and moto stay real."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError

READS = {f"dynamodb:{operation}" for operation in ("GetItem", "BatchGetItem", "Query", "Scan")}


@dataclass
class AwsCall:
    """One call of an AWS operation, whatever the SDK needed to send for it."""

    function: str | None
    """The Lambda function that made it; None for the test itself."""
    action: str
    """As IAM writes it: `dynamodb:PutItem`."""
    params: Mapping[str, Any]
    answer: Mapping[str, Any] | None = None
    """None where the call failed."""


@dataclass
class _Fault:
    action: str
    answer: dict[str, Any]
    status: int
    times: int


@dataclass
class _Loss:
    action: str
    skip: int


@dataclass(eq=False)
class Wire:
    """What lies between the code and AWS. Made once, since the code keeps its clients; `reset` before each test."""

    calls: list[AwsCall] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """The operation of each HTTP request: the SDK may need several for one call."""
    function: str | None = None
    watchers: list[Callable[[AwsCall], None]] = field(default_factory=list)
    """Each gets every call, of whichever test."""
    _faults: list[_Fault] = field(default_factory=list)
    _lost: list[_Loss] = field(default_factory=list)

    def attach(self) -> None:
        """Hook into every client that is made from now on with boto3's default session."""
        boto3.setup_default_session()
        events: Any = cast(boto3.Session, boto3.DEFAULT_SESSION).events
        events.register("provide-client-params", self._begin)
        events.register("before-call", self._disturb)  # may answer instead
        events.register_last("before-send", self._lose)  # after moto, which answers at this hook
        events.register("after-call", self._end)

    @cache  # noqa: B019 # the tests' own clients live as long as the wire
    def client(self, service: str) -> Any:
        return boto3.client(service)  # type: ignore[call-overload] # the stubs know literal names only

    def reset(self) -> None:
        self.calls, self.requests, self._faults, self._lost, self.function = [], [], [], [], None

    @contextmanager
    def called_by(self, function: str) -> Iterator[None]:
        self.function = function
        try:
            yield
        finally:
            self.function = None

    def of(self, action: str) -> list[AwsCall]:
        return [call for call in self.calls if call.action == action]

    def effects(self) -> list[AwsCall]:
        """The calls so far that changed or sent something."""
        return [call for call in self.calls if call.answer is not None and call.action not in READS]

    def fail(
        self, action: str, code: str, *, status: int = 400, times: int = 1, message: str = "failed by the test"
    ) -> None:
        """The next calls of the action end with an AWS error; nothing is carried out."""
        self._faults.append(_Fault(action, {"Error": {"Code": code, "Message": message}}, status, times))

    def answer(self, action: str, answer: dict[str, Any], *, times: int = 1) -> None:
        """The next calls of the action get this answer; nothing is carried out."""
        self._faults.append(_Fault(action, answer, 200, times))

    def lose_answer(self, action: str, *, skip: int = 0) -> None:
        """The next request is carried out, but the connection breaks before its answer: the SDK retries.

        With `skip`, so many requests of the action come through before.
        """
        self._lost.append(_Loss(action, skip))

    def forget_losses(self) -> None:
        """Let every answer come through that was to be lost, and was not."""
        self._lost.clear()

    def forget_faults(self) -> None:
        """Let every call come through that was to fail, and has not yet."""
        self._faults.clear()

    def _begin(self, params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        context["call"] = AwsCall(self.function, _action(model), params)
        self.calls.append(context["call"])
        for tell in self.watchers:
            tell(context["call"])

    def _disturb(self, model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        for fault in self._faults:
            if fault.action == _action(model) and fault.times > 0:
                fault.times -= 1
                return AWSResponse("", fault.status, HTTPHeaders(), None), {"ResponseMetadata": {}, **fault.answer}
        return None

    def _lose(self, request: Any, event_name: str, **_: Any) -> None:
        operation = event_name.rpartition(".")[2]
        self.requests.append(operation)
        for loss in self._lost:
            if loss.action.endswith(f":{operation}"):
                loss.skip -= 1
                if loss.skip < 0:
                    self._lost.remove(loss)
                    raise ConnectionClosedError(endpoint_url=request.url)

    def _end(self, http_response: Any, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        if http_response.status_code < 300:
            context["call"].answer = parsed


def _action(model: Any) -> str:
    return f"{model.service_model.signing_name}:{model.name}"
