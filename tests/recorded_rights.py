"""Least privilege, by what all tests called: what no role grants fails a run, and what nothing used fails a whole one.

Every call to AWS that the wire sees under a function's name is kept, in each of pytest-xdist's processes, and compared
with resources/roles.yml when the last test has ended. The wire is moto's, which grants everything. On the embedded AWS
IAM is enforced, so that a right that is missing ends a test of tests/e2e by itself.
"""

from typing import Any

import pytest

from tests.rights import FUNCTIONS, Right, granted_to, needed_by
from tests.wire import AwsCall

SELECTIONS = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "stepwise", "collectonly")
"""pytest's options that leave tests out."""


class RecordedRights:
    """A plugin of pytest's, in the process that leads and in those that run tests."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.used: set[tuple[str, Right]] = set()
        self._findings: list[str] = []

    @classmethod
    def of(cls, config: pytest.Config) -> "RecordedRights":
        plugin = config.pluginmanager.get_plugin(cls.__name__)
        assert isinstance(plugin, cls)
        return plugin

    def record(self, call: AwsCall) -> None:
        if call.function:
            self.used |= {(call.function, right) for right in needed_by(call)}

    @pytest.hookimpl(optionalhook=True)  # pytest-xdist's
    def pytest_testnodedown(self, node: Any) -> None:
        """A process has ended; one that crashed leaves nothing."""
        used = getattr(node, "workeroutput", {}).get("used rights", [])
        self.used |= {(function, (action, resource)) for function, action, resource in used}

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput["used rights"] = sorted((function, *right) for function, right in self.used)
            return
        granted = {(function, right) for function in FUNCTIONS for right in granted_to(function)}
        self._findings += [f"{_said(each)}: no role grants it" for each in sorted(self.used - granted)]
        if self._is_whole() and session.exitstatus == pytest.ExitCode.OK:
            self._findings += [f"{_said(each)}: granted, but no test used it" for each in sorted(granted - self.used)]
        if self._findings and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for finding in self._findings:
            terminalreporter.write_line(f"FAILED least privilege: {finding}", red=True)

    def _is_whole(self) -> bool:
        chosen = self._config.args_source is not pytest.Config.ArgsSource.TESTPATHS
        return not chosen and not any(self._config.getoption(option, None) for option in SELECTIONS)


def _said(used: tuple[str, Right]) -> str:
    function, (action, resource) = used
    return f"{function} {action} {resource}"
