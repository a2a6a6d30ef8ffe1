"""The comparison of all recorded calls with the roles fails a run when it must, and no other: tried on tiny suites."""

import pytest

from tests.rights import FUNCTIONS, Right, granted_to

pytest_plugins = ["pytester"]

DELETION = ("fulfillment", ("dynamodb:DeleteItem", "OrdersTable"))

CONFTEST = """
import pytest
from tests.recorded_rights import RecordedRights
from tests.wire import AwsCall

def pytest_configure(config):
    config.pluginmanager.register(RecordedRights(config), RecordedRights.__name__)

@pytest.fixture
def use(pytestconfig, monkeypatch):
    def use(function, right):
        monkeypatch.setattr("tests.recorded_rights.needed_by", lambda call: [right])
        RecordedRights.of(pytestconfig).record(AwsCall(function, right[0], {}))
    return use
"""

Used = tuple[str, Right]


@pytest.fixture
def every_right() -> list[Used]:
    return [(function, right) for function in FUNCTIONS for right in granted_to(function)]


class Suite:
    """Two files of one test each; every other use is made in the second, by another process where there are two."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        pytester.makeconftest(CONFTEST)
        pytester.makeini("[pytest]\ntestpaths = .\naddopts = -p no:cacheprovider -p xdist.plugin\n")

    def run(self, used: list[Used], *arguments: str, passes: bool = True) -> tuple[int, list[str]]:
        """The exit status, and the lines about least privilege."""
        for name, share in (("one", used[::2]), ("two", used[1::2])):
            text = f"def test_{name}(use):\n    for each in {share}:\n        use(*each)\n    assert {passes}\n"
            self.pytester.path.joinpath(f"test_{name}.py").write_text(text)
        ran = self.pytester.runpytest_inprocess(*arguments)
        lines = [line for line in ran.outlines if "least privilege" in line]
        return int(ran.ret), [line.removeprefix("FAILED least privilege: ") for line in lines]


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # of the plugins that are installed, only pytest-xdist
    return Suite(pytester)


def test_a_run_that_uses_what_is_granted_and_nothing_else_passes(suite: Suite, every_right: list[Used]) -> None:
    assert suite.run(every_right, "-n", "2") == (0, [])


@pytest.mark.parametrize("arguments", [(), ("test_one.py",)])
def test_a_call_that_no_role_grants_fails_every_run(
    suite: Suite, every_right: list[Used], arguments: tuple[str, ...]
) -> None:
    uses = [DELETION, *every_right]
    assert suite.run(uses, *arguments) == (1, ["fulfillment dynamodb:DeleteItem OrdersTable: no role grants it"])


def test_a_right_that_nothing_used_fails_a_run_of_all_tests(suite: Suite, every_right: list[Used]) -> None:
    every_right.remove(("notification", ("sns:Publish", "phones")))
    assert suite.run(every_right) == (1, ["notification sns:Publish phones: granted, but no test used it"])


@pytest.mark.parametrize("selection", [("-k", "one"), ("test_one.py",), ("--ignore", "test_two.py")])
def test_a_run_of_some_tests_need_not_use_every_right(suite: Suite, selection: tuple[str, ...]) -> None:
    assert suite.run([], *selection) == (0, [])


def test_a_run_that_fails_anyway_is_not_blamed_for_what_it_did_not_get_to(suite: Suite) -> None:
    assert suite.run([], passes=False) == (1, [])
