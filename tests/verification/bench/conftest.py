"""The stories as the code is now, for all tests that hold it to the counts."""

from collections.abc import Iterator, Mapping

import pytest
from moto.core.models import botocore_stubber

from verification.bench import results
from verification.bench.counts import Counts, measure
from verification.simulation.harness import forget

Stories = Mapping[str, Counts]


@pytest.fixture(scope="package", autouse=True)
def nobody_else_responds() -> Iterator[None]:
    """Neither moto, which stays for all tests of a process, nor a client that a handler made in another test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore_stubber, "enabled", False)
        forget()
        yield
        forget()


@pytest.fixture(scope="package")
def measured(nobody_else_responds: None) -> Stories:
    """As the code is now."""
    return measure()


@pytest.fixture
def decided() -> Stories:
    """As verification/bench/results/ has it, and so docs/performance.md."""
    return results.kept()["counts"].values
