"""AWS of which a test says what it responds; botocore's Stubber holds each response to AWS's own model of it."""

from collections.abc import Mapping
from typing import Any, cast

import boto3
from botocore.stub import Stubber

from operations.stack import Outputs, Stack

SESSION = boto3.Session("key", "secret", region_name="us-east-1")
"""One for all: it reads AWS's models, which takes most of the time."""


class StubbedAws:
    """Clients whose responses the test gives, in the order in which they are asked for."""

    region_name = "us-east-1"

    def __init__(self, **outputs: str) -> None:
        self._outputs = outputs
        self._clients: dict[str, tuple[Any, Stubber]] = {}

    @property
    def stack(self) -> Stack:
        return Stack("dev", cast(Any, self), None, Outputs(self._outputs))

    def client(self, service: str, **_: object) -> Any:
        if service not in self._clients:
            client = SESSION.client(service)  # type: ignore[call-overload] # the stubs know literal names only
            self._clients[service] = client, Stubber(client)
            self._clients[service][1].activate()
        return self._clients[service][0]

    def gives(self, service: str, operation: str, response: Mapping[str, Any]) -> None:
        self.client(service)
        self._clients[service][1].add_response(operation, dict(response))

    def refuses(self, service: str, operation: str, code: str, message: str = "no") -> None:
        self.client(service)
        self._clients[service][1].add_client_error(operation, code, message)

    def close(self) -> None:
        for client, stubber in self._clients.values():
            stubber.assert_no_pending_responses()
            client.close()
