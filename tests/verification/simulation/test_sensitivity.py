"""The simulator finds a planted bug. All bugs: `npm run simulate -- --bugs`, which writes docs/sensitivity.md."""

import sys
from pathlib import Path

import pytest

from tools.checkout import ROOT
from verification.simulation import __main__ as command
from verification.simulation import sensitivity
from verification.simulation.bugs import BUGS, Bug
from verification.simulation.sensitivity import HuntResult, hunt, report

HARMLESS = Bug("a new file", "none", "--- /dev/null\n+++ b/orders/harmless.py\n@@ -0,0 +1 @@\n+# harmless\n")
[SOON_CAUGHT] = [bug for bug in BUGS if bug.name == "an order is overwritten by one with the same id"]


def test_each_bugs_patch_applies_to_todays_code() -> None:
    for bug in BUGS:
        bug.plant(ROOT, check_only=True)


def test_a_patch_that_the_code_has_moved_away_from_is_an_error() -> None:
    stale = SOON_CAUGHT._replace(patch=SOON_CAUGHT.patch.replace("ConditionExpression=", "Condition="))
    with pytest.raises(LookupError, match="refresh it"):
        stale.plant(ROOT, check_only=True)


def test_a_bug_that_is_planted_is_caught() -> None:
    assert hunt(SOON_CAUGHT).caught


def test_a_change_that_is_no_bug_survives() -> None:
    assert hunt(HARMLESS, most=1) == HuntResult(HARMLESS, None, 1)


def test_the_kept_result_names_each_bug_and_none_survived() -> None:
    kept = (ROOT / "docs" / "sensitivity.md").read_text()
    assert len(BUGS) >= 30
    assert [line.split(" | ")[0].removeprefix("| ") for line in kept.splitlines()[8:]] == [bug.name for bug in BUGS]
    assert "survived" not in kept
    assert f"All {len(BUGS)} bugs of the list are caught" in (ROOT / "docs" / "reliability.md").read_text()


def test_the_report_says_which_bug_survived() -> None:
    assert "**survived**" in report([HuntResult(BUGS[0], None, 600)])


@pytest.mark.parametrize(
    ("second", "status"), [("a promise broke", 0), (None, 1)], ids=["all are caught", "one survives"]
)
def test_the_command_writes_the_table_and_fails_where_a_bug_survived(
    second: str | None, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, caught = tmp_path / "sensitivity.md", {BUGS[0]: "a promise", BUGS[1]: second}
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "REPORT", kept)
    monkeypatch.setattr(command, "BUGS", tuple(caught))
    monkeypatch.setattr(sensitivity, "hunt", lambda bug: HuntResult(bug, caught[bug], 3))
    monkeypatch.setattr(sys, "argv", ["simulate", "--bugs", "--jobs", "2"])

    assert command.main() == status

    assert kept.read_text().count(f"| {BUGS[0].name} |") == 1
    assert ("**survived**" in kept.read_text()) is bool(status)
    assert f"{2 - status} of 2 bugs were caught" in capsys.readouterr().out
