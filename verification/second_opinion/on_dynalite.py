"""A plugin of pytest's that gives the tests dynalite for moto's DynamoDB, an empty one for each test.

The code's clients stay unchanged: boto3 reads AWS_ENDPOINT_URL_DYNAMODB. Requests are sent where moto intercepts
others, at the SDK's hook `before-send`, so that a test can lose a response there. Each of pytest-xdist's processes has
a dynalite of its own. Two things that it lacks are supplied here: `ReturnValuesOnConditionCheckFailure`, and a table
that is ready when CreateTable returns, as moto's is.
"""

import json
import os
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any

import boto3
import pytest
from botocore.handlers import BUILTIN_HANDLERS
from botocore.httpsession import URLLib3Session

from tests.recorded_rights import RecordedRights
from verification.second_opinion.engines import dynalite

POLLS = 1000
"""A table is ready after one or two."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--opinion", type=Path, help="the file for what happened")


def pytest_configure(config: pytest.Config) -> None:
    """After tests/conftest.py, which takes every AWS variable away."""
    config.pluginmanager.register(OnDynalite(config))


class OnDynalite:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._requests = 0
        options: Any = [(IPPROTO_TCP, TCP_NODELAY, 1)]  # as boto3's clients have it
        self._http = URLLib3Session(socket_options=options)
        self._running = ExitStack()
        self._url = ""
        if not config.getoption("numprocesses", None):  # this process runs tests
            self._url = self._running.enter_context(dynalite())
            os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = self._url
        BUILTIN_HANDLERS.extend(
            [
                ("provide-client-params.dynamodb", _remember),
                ("before-send.dynamodb", self._send),
                ("after-call.dynamodb", self._supply_old_item),
                ("after-call.dynamodb.CreateTable", self._await_table),
            ]
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        urllib.request.urlopen(f"{self._url}/empty").close()

    def _send(self, request: Any, **_: Any) -> Any:
        assert request.url.startswith(self._url), f"{request.url} is not dynalite"
        self._requests += 1
        return self._http.send(request)

    def _supply_old_item(self, parsed: dict[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        params = context["params"]
        failed = parsed.get("Error", {}).get("Code") == "ConditionalCheckFailedException"
        if failed and params.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
            table, own = params["TableName"], self._client
            shape = own.describe_table(TableName=table)["Table"]["KeySchema"]
            named = params.get("Key") or params["Item"]
            key = {part["AttributeName"]: named[part["AttributeName"]] for part in shape}
            found = own.get_item(TableName=table, Key=key, ConsistentRead=True)
            parsed |= {"Item": found["Item"]} if "Item" in found else {}

    def _await_table(self, parsed: Mapping[str, Any], **_: Any) -> None:
        if "Error" not in parsed:
            own, name = self._client, parsed["TableDescription"]["TableName"]
            statuses = (own.describe_table(TableName=name)["Table"]["TableStatus"] for _ in range(POLLS))
            assert "ACTIVE" in statuses, f"{name} does not become active"

    @cached_property
    def _client(self) -> Any:
        """One whose calls the tests don't see."""
        return boto3.Session().client("dynamodb", region_name="us-east-1")

    # --- the report -----------------------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)  # pytest-xdist's
    def pytest_testnodedown(self, node: Any) -> None:
        self._requests += getattr(node, "workeroutput", {}).get("requests of dynalite", 0)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self._running.close()
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput["requests of dynalite"] = self._requests
            return
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        told = terminal.stats
        report = {
            "passed": len(told.get("passed", [])),
            "failed": [_failure(each) for kind in ("failed", "error") for each in told.get(kind, [])],
            "requests": self._requests,
            "rights": sorted((function, *right) for function, right in RecordedRights.of(self._config).used),
        }
        self._config.getoption("opinion").write_text(json.dumps(report))


def _remember(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
    context["params"] = params


def _failure(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return f"{report.nodeid}: {crash.message.splitlines()[0] if crash else report.longreprtext[-200:]}"
