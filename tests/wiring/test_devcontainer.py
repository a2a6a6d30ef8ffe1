"""A container, on this machine or in GitHub Codespaces, is ready for the notebooks when its editor opens."""

import json
import re

from tools.checkout import ROOT

CONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
SCRIPTS = json.loads((ROOT / "package.json").read_text())["scripts"]


def test_the_container_installs_the_notebooks_before_its_editor_opens() -> None:
    command = CONTAINER["postCreateCommand"]

    assert command == "npm run notebooks -- --setup"
    assert SCRIPTS["notebooks"].startswith("exec node tools/setup.mjs notebooks -- ")
    assert CONTAINER["waitFor"] == "postCreateCommand"


def test_vs_code_finds_a_kernel_in_the_environment_that_the_set_up_makes() -> None:
    [python] = re.findall(r"^const PYTHON = '(.+)';$", (ROOT / "tools" / "setup.mjs").read_text(), re.MULTILINE)
    editor = CONTAINER["customizations"]["vscode"]

    assert editor["settings"]["python.defaultInterpreterPath"] == f"${{containerWorkspaceFolder}}/{python}"
    assert {"ms-python.python", "ms-toolsai.jupyter"} <= set(editor["extensions"])
    assert "ipykernel" in (ROOT / "tools" / "locks" / "notebooks.in").read_text().splitlines()


def test_the_ports_of_npm_start_are_forwarded() -> None:
    [port] = re.findall(r'"--port", default="(\d+)"', (ROOT / "local" / "__main__.py").read_text())

    assert CONTAINER["forwardPorts"] == [int(port), int(port) + 1]  # the embedded AWS and the storefront
