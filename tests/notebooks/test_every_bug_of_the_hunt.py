"""Every bug of the hunt shows in the evidence, and nothing else is taken for it; `.ci/long` runs this."""

import pytest

from notebooks.bug_hunt.cases import CASES, Case
from notebooks.bug_hunt.deployment import DeployedCode
from operations.stack import Stack
from tests.e2e.waiting import wait_for
from tests.notebooks.hunting import faults_after_traffic, hunt_for


def named(case: Case) -> str:
    return case.bug.name


@pytest.mark.parametrize("level", [1, 2, 3])
def test_without_a_bug_no_traffic_shows_a_fault(stack: Stack, level: int) -> None:
    assert faults_after_traffic(stack, level) == {}


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_bug_shows_and_the_stack_is_right_again_after_the_end(stack: Stack, case: Case) -> None:
    hunt = hunt_for(case)
    wait_for("evidence", lambda: hunt.accuse(case.function, case.kind), lambda verdict: verdict.right)
    others = [each for each in CASES if each.kind != case.kind]
    accused = [hunt.accuse(each.function, each.kind) for each in others]

    assert not any(verdict.right for verdict in accused)
    assert "charged 1 time" in hunt.end()
    assert DeployedCode(stack).is_original()
