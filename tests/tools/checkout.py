"""A copy of the checkout with a .serverless/ and .local/ of its own: what a test packages there disturbs nobody."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools import topology
from tools.checkout import ROOT

PARTS = ("serverless.yml", "resources", "tools", "handlers", "orders")


class Checkout:
    def __init__(self, folder: Path, *, packages: bool = True) -> None:
        """`packages`: share what the real checkout's virtual environment keeps of earlier builds."""
        self.folder = folder
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)
        (folder / "node_modules").symlink_to(ROOT / "node_modules")
        (folder / ".venv").mkdir()
        (ROOT / ".venv" / "packages").mkdir(exist_ok=True)
        for name in ("bin", "lib", "pyvenv.cfg", *(["packages"] if packages else [])):
            (folder / ".venv" / name).symlink_to(ROOT / ".venv" / name)

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        with self.start(*command, environment=environment) as process:
            stdout, stderr = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)

    def start(self, *command: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """With no AWS account in the environment, but for what the test puts there."""
        inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith("AWS_")}
        programs = os.pathsep.join(str(self.folder / name) for name in (".venv/bin", "node_modules/.bin"))
        inherited["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
        inherited.pop("ORDER_PROCESSING_STATE_DIR", None)
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**inherited, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def build(self, stage: str, output: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("python", "-m", "tools.build", "--stage", stage, "--output", output, environment=environment)


def longest_stage(service: str | None = None) -> int:
    """How many characters tools/stage.js lets a stage have, of this service or of one with another name."""
    words = json.dumps([service or topology.name(), topology.functions()])
    asked = f"require('./tools/stage.js').longest(...{words})"
    return int(subprocess.run(["node", "-p", asked], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
