"""A local stack for the tests of a module, with a port and a state of its own."""

from collections.abc import Iterator

import pytest

from local.emulator.ports import free_port
from local.emulator.state import STATE_DIR_VARIABLE, State
from local.launcher import running
from operations.stack import Stack, from_environment
from tests.conftest import ENVIRONMENT


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Deployed by the real `sls deploy`; it is the one that `from_environment` finds."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ENVIRONMENT:  # what the other tests run with must not reach the deployed functions
            patch.delenv(name)
        patch.delenv("STAGE", raising=False)
        state = State(tmp_path_factory.mktemp("state"))
        patch.setenv(STATE_DIR_VARIABLE, str(state.folder))
        with running.stack(state, free_port()):
            yield from_environment()
