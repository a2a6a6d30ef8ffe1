"""docs/performance.md, costs.md and scale.md say what the results say."""

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tools.checkout import ROOT
from verification.bench import artefact, figures, price, results


def cog_check(*documents: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cogapp", "--check", *map(str, documents)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_tables_of_the_documents_are_what_the_results_give() -> None:
    checked = cog_check(*figures.DOCUMENTS)
    assert checked.returncode == 0, f"npm run bench -- --only\n{checked.stdout}{checked.stderr}"


def test_a_stale_table_is_noticed(tmp_path: Path) -> None:
    copy = Path(shutil.copy(figures.DOCUMENTS[0], tmp_path))
    before, end, after = copy.read_text().rpartition(" |\n<!-- [[[end]]] -->")
    copy.write_text(f"{before}9{end}{after}")
    assert cog_check(copy).returncode == 5, "cog's code for what would change"


def test_a_result_is_kept_with_where_and_when_it_was_measured(tmp_path: Path) -> None:
    results.keep("growth", {"date": "2026-11-23"}, {"1000": 1}, tmp_path)
    assert results.kept(tmp_path) == {"growth": results.Result({"date": "2026-11-23"}, {"1000": 1})}


def test_the_package_is_no_larger_than_its_target(tmp_path: Path) -> None:
    package = artefact.build("dev", tmp_path / "package.zip")
    assert artefact.weigh(package)["zipped"] <= figures.TARGETS["zipped"]
    with ZipFile(package) as archive:
        assert {"orders", "handlers", "botocore"} <= {name.partition("/")[0] for name in archive.namelist()}


def test_a_limit_is_enough_for_what_it_allows_over_what_an_order_needs() -> None:
    enough_for = {name: most / needed for name, (most, needed) in figures.limits().items()}
    assert enough_for["EventBridge: PutEvents"] == pytest.approx(10_000 / 3)
    assert enough_for["EventBridge: invocations of targets"] == pytest.approx(18_750 / 8)
    assert enough_for["Orders: write units"] == pytest.approx(40_000 / 9)
    assert enough_for["`openOrders`: write units of a key"] == 10_000
    assert enough_for["`throttleRate`"] == 100
    assert enough_for["`reconcileConcurrency`"] > 100
    milliseconds = price.milliseconds(results.kept()["counts"].values["approved"])
    assert enough_for["Lambda: concurrency"] == pytest.approx(1_000_000 / sum(milliseconds.values()))
    assert len(enough_for) == 15


def test_each_quota_has_its_source_and_when_it_was_read() -> None:
    rows = [row.split(" | ") for row in (ROOT / "docs" / "scale.md").read_text().splitlines() if row.startswith("| [")]
    assert len(rows) == 12
    for name, _, read, *_ in rows:
        assert "](https://docs.aws.amazon.com/" in name
        assert read in {"2026-11", "from memory"}, name
