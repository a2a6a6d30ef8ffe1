"""One counted run on a stack of its own, for all tests that hold the code to the counts."""

import os
from collections.abc import Iterator, Mapping

import pytest

from local.emulator.ports import free_port
from local.emulator.state import State
from local.launcher.running import stack
from operations.stack import described
from tests.conftest import ENVIRONMENT
from tools.checkout import ROOT
from verification.bench import results
from verification.bench.counts import Counts, MeteredStack, measure
from verification.bench.recording import recording

Stories = Mapping[str, Counts]


@pytest.fixture(scope="package")
def counted() -> Iterator[MeteredStack]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    with pytest.MonkeyPatch.context() as patch:
        for name in ENVIRONMENT:  # what the other tests run with must not reach the deployed functions
            patch.delenv(name)
        with stack(State(ROOT / ".local" / f"test-bench-{worker}"), free_port()) as description:
            deployed = described(description)
            with recording(deployed) as record:
                yield MeteredStack(deployed, record)


@pytest.fixture(scope="package")
def measured(counted: MeteredStack) -> Stories:
    """As the code is now."""
    return measure(counted)


@pytest.fixture
def decided() -> Stories:
    """As verification/bench/results/ has it, and so docs/performance.md."""
    return results.kept()["counts"].values
