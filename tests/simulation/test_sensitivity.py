"""The simulator would find a bug. All of them: `npm run simulate -- --bugs`, which writes docs/sensitivity.md."""

from pathlib import Path

import pytest

from simulation.bugs import BUGS, Bug
from simulation.deployment import ROOT
from simulation.sensitivity import Verdict, hunt, report

SAMPLE = [BUGS[number] for number in (0, 11, 24, 38)]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_each_bug_on_the_list_can_still_be_planted(bug: Bug) -> None:
    source = (ROOT / bug.file).read_text()
    assert bug.planted(source) != source


@pytest.mark.parametrize("bug", SAMPLE, ids=lambda bug: bug.name)
def test_a_bug_that_is_planted_is_caught(bug: Bug) -> None:
    assert hunt(bug).caught


def test_a_change_that_is_no_bug_survives() -> None:
    harmless = Bug("a comment", "none", "orders/model.py", (("FINAL: frozenset", "# harmless\nFINAL: frozenset"),))
    assert hunt(harmless, most=3) == Verdict(harmless, None, 3)


def test_the_kept_result_names_each_bug_and_none_survived() -> None:
    kept = (Path(ROOT) / "docs" / "sensitivity.md").read_text()
    assert len(BUGS) >= 30
    assert [line.split(" | ")[0].removeprefix("| ") for line in kept.splitlines()[8:]] == [bug.name for bug in BUGS]
    assert "survived" not in kept


def test_the_report_says_which_bug_survived() -> None:
    assert "**survived**" in report([Verdict(BUGS[0], None, 600)])
