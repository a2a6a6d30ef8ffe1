"""An emulator for the tests of a module, without the system's stack on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.emulator.ports import free_port
from local.emulator.process import emulator
from local.emulator.state import State
from tests.local.embedded_aws import EmbeddedAws


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    state = State(tmp_path_factory.mktemp("state"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OF_THE_USER", "not the functions' business")
        with emulator(state, free_port()) as description:
            yield EmbeddedAws(description, state)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A file into which functions write, since they run on this machine."""
    file = tmp_path / "notes"
    file.touch()
    return file
