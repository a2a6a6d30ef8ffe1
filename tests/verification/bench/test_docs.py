"""docs/performance.md, costs.md and scale.md say what the results say, and nobody has typed into them."""

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.tools.checkout import Checkout
from tests.verification.bench.conftest import Stories
from tools.checkout import ROOT
from verification.bench import performance, plot, results, scale
from verification.bench.artefact import weigh

DOCS = ROOT / "docs"
WRITTEN = ["performance.md", "costs.md", "scale.md", "performance/artefact.svg", "performance/price.svg"]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder of documents, written from verification/bench/results/."""
    shutil.copy(DOCS / "scale.md", tmp_path)
    performance.write(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", WRITTEN)
def test_a_document_is_what_the_results_give(written: Path, name: str) -> None:
    assert (DOCS / name).read_text() == (written / name).read_text(), "npm run bench -- --only"


def test_a_part_that_was_not_measured_has_no_section(tmp_path: Path) -> None:
    somewhere = dict.fromkeys(("date", "commit", "processor", "system", "versions"), "x")
    packages = {"orders": {"zipped": 5, "unpacked": 9, "files": 3}}
    weight = {"zipped": 5_000_000, "unpacked": 9_000_000, "files": 3, "packages": packages}
    results.keep("artefact", somewhere, weight, tmp_path)

    text = performance.performance(results.kept(tmp_path))
    assert "## The package\n\n5.0 MB zipped" in text
    assert "## Calls" not in text


def test_a_result_is_kept_with_where_and_when_it_was_measured(tmp_path: Path) -> None:
    results.keep("growth", {"date": "2026-11-23"}, {"1000": 1}, tmp_path)
    assert results.kept(tmp_path) == {"growth": results.Result({"date": "2026-11-23"}, {"1000": 1})}


def test_bars_are_as_long_as_what_they_stand_for() -> None:
    picture = ElementTree.fromstring(
        plot.bars("t & t", [plot.Bar("a", [1, 2]), plot.Bar("b", [1.5])], unit="MB", mark=3)
    )
    widths = [float(each.get("width", "0")) for each in picture if each.get("height") == "21"]
    assert widths == [pytest.approx(widths[1] / 2), widths[1], pytest.approx(widths[1] * 0.75)]
    assert "3 MB" in [each.text for each in picture]


def test_the_package_is_no_larger_than_its_mark(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    assert checkout.build("dev", "dev.zip").returncode == 0
    weight = weigh(checkout.folder / "dev.zip")
    assert weight["zipped"] <= performance.MARKS["zipped"]
    assert sum(each["unpacked"] for each in weight["packages"].values()) == weight["unpacked"]
    assert {"orders", "handlers", "botocore"} <= weight["packages"].keys()


def test_an_order_costs_the_same_however_many_there_are() -> None:
    growth = results.kept()["growth"].values
    assert list(growth) == ["1000", "10000", "100000"]
    smallest, *others = (size["counts"] for size in growth.values())
    assert others == [smallest, smallest]


def test_a_limit_is_enough_for_what_it_allows_over_what_an_order_takes(decided: Stories) -> None:
    found = {limit.name: limit for limit in scale.limits(decided)}
    assert found["EventBridge: PutEvents"].orders == pytest.approx(10_000 / 3)
    assert found["EventBridge: invocations of targets"].orders == pytest.approx(18_750 / 8)
    assert found["Orders: write units"].per_order == 9
    assert found["`openOrders`: write units of 20 keys"].orders == 10_000
    assert found["our own throttling: requests of a route"].orders == 100
    assert found["Lambda: at once"].per_order == pytest.approx(0.232), "seconds of function time"


def test_the_lowest_limit_comes_first(decided: Stories) -> None:
    enough_for = [limit.orders for limit in scale.limits(decided)]
    assert enough_for == sorted(enough_for)
