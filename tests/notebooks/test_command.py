"""`npm run notebooks`: how it calls JupyterLab, and what it does instead with --setup.

It is asked in a process of its own, without an import: `npm test` does not install JupyterLab.
"""

import json
import re
import subprocess
import sys

import pytest

from tools.checkout import ROOT

FIRST = "notebooks/01_your_first_order.ipynb"


def asked(script: str) -> str:
    command = (sys.executable, "-c", f"import json, os, sys\nfrom notebooks import __main__ as notebooks\n{script}")
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def jupyter_lab(user: int, *arguments: str) -> list[str]:
    called = f"os.geteuid = lambda: {user}\nprint(json.dumps(notebooks.jupyter_lab({list(arguments)})))"
    return list(json.loads(asked(called)))


def test_jupyterlab_opens_the_first_lesson_with_the_checkout_as_its_root() -> None:
    command = jupyter_lab(1000, "--no-browser")

    assert " ".join(command).startswith(f"{sys.executable} -m jupyterlab --ServerApp.ip=127.0.0.1 ")
    assert f"--ServerApp.root_dir={ROOT}" in command
    assert f"--LabApp.default_url=/lab/tree/{FIRST}" in command
    assert min(str(file.relative_to(ROOT)) for file in (ROOT / "notebooks").glob("*.ipynb")) == FIRST
    assert command[-1] == "--no-browser"


@pytest.mark.parametrize(("user", "is_allowed"), [(0, True), (1000, False)])
def test_root_is_allowed_since_jupyterlab_refuses_it_otherwise(user: int, is_allowed: bool) -> None:
    assert ("--allow-root" in jupyter_lab(user)) == is_allowed


def test_setup_says_how_vs_code_finds_the_kernel_and_ends() -> None:
    said = asked("notebooks.stack = None; sys.exit(notebooks.main(['--setup']))")

    assert [line.strip() for line in said.splitlines()[-2:]] == [
        f"2. open {FIRST}",
        f"3. Select Kernel > Python Environments > .venv, which is {sys.executable}",
    ]


def test_what_only_the_builder_needs_is_not_among_the_lessons() -> None:
    lessons = [*(ROOT / "notebooks").glob("*.py"), *(ROOT / "notebooks").glob("[lp]*/*.py")]

    assert lessons
    assert not [file for file in lessons if re.search("jupytext|nbclient|notebooks.build", file.read_text())]


def test_a_python_without_the_packages_says_in_one_line_what_to_type() -> None:
    """As in a notebook whose kernel is not that of .venv."""
    script = """
import sys
from IPython.core.interactiveshell import InteractiveShell
sys.modules["ministack"] = None
sys.path.insert(0, "notebooks")
InteractiveShell().run_cell("import tour")
"""
    ran = subprocess.run((sys.executable, "-c", script), cwd=ROOT, capture_output=True, text=True, check=True)

    [said] = [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
    assert said.startswith("ministack is not installed in ")
    assert "type `npm run notebooks -- --setup` in a terminal, then choose the kernel of .venv" in said
