"""`npm run notebooks`: how it calls JupyterLab, and what it does instead with --setup."""

import os
import subprocess
import sys

import pytest

from notebooks.__main__ import FIRST, in_vs_code, jupyter_lab
from tools.checkout import ROOT


def test_jupyterlab_opens_the_first_lesson_with_the_checkout_as_its_root() -> None:
    command = jupyter_lab(["--no-browser"])

    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={ROOT}" in command
    assert f"--LabApp.default_url=/lab/tree/{FIRST}" in command
    assert FIRST == min(str(file.relative_to(ROOT)) for file in (ROOT / "notebooks").glob("*.ipynb"))
    assert "--ServerApp.ip=127.0.0.1" in command
    assert command[-1] == "--no-browser"


@pytest.mark.parametrize(("user", "is_allowed"), [(0, True), (1000, False)])
def test_root_is_allowed_since_jupyterlab_refuses_it_otherwise(
    user: int, is_allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)

    assert ("--allow-root" in jupyter_lab([])) == is_allowed


def test_setup_says_how_vs_code_finds_the_kernel_and_ends(tmp_path: object) -> None:
    environment = {**os.environ, "ORDER_PROCESSING_STATE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "notebooks", "--setup"]

    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)

    assert ran.stdout == f"{in_vs_code(sys.executable)}\n"
    assert (FIRST in ran.stdout, sys.executable in ran.stdout) == (True, True)
