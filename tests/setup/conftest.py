"""A copy of what set-up needs, with the tests' own programs on PATH: nothing touches the network or the checkout."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import NamedTuple

import pytest

from tools.checkout import ROOT

NODE = shutil.which("node") or "node"

USERS_OWN = ("PIP_", "UV_", "PYTHON", "npm_", "NODE_", "ORDER_PROCESSING_", "CI")

NPM = """#!/bin/sh
echo "npm $*" >>"$CALLS"
case "$2" in --prefix) folder=$3 ;; *) folder=. ;; esac
mkdir -p "$folder/node_modules/.bin"
"""

PYTHON = """#!/bin/sh
echo "${{0##*/}} $*" >>"$CALLS"
case "$*" in
  *version_info*) echo "{version}"; echo "$0" ;;
  "-m venv "*) mkdir -p "$3/bin" && ln -s "$0" "$3/bin/python" ;;
esac
"""


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Checkout:
    """A folder with tools/setup.mjs and the groups `tiny`, `other` and `scan`, whose lock files are empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder.parent / "bin"
        self.calls_file = folder.parent / "calls"
        self.node_options: tuple[str, ...] = ()
        (folder / "tools" / "locks").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("setup.mjs", "uv.py"):
            shutil.copy(ROOT / "tools" / name, folder / "tools")
        (folder / "package-lock.json").write_text("{}")
        (folder / "package.json").write_text("{}")
        for group in ("uv", "tiny", "other", "scan"):
            self.lock(group, "# nothing\n")
        for name in ("sh", "mkdir", "env", "bash", "sleep", "cat", "ln", "grep"):
            (self.bin / name).symlink_to(shutil.which(name) or name)
        self.program("npm", NPM)

    def lock(self, group: str, text: str) -> None:
        (self.folder / "tools" / "locks" / f"{group}.txt").write_text(text)

    def program(self, name: str, text: str) -> None:
        file = self.bin / name
        file.unlink(missing_ok=True)
        file.write_text(text)
        file.chmod(file.stat().st_mode | stat.S_IEXEC)

    def python(self, name: str = "python3", version: str = "3 11") -> None:
        self.program(name, PYTHON.format(version=version))

    def real_python(self) -> None:
        self.program("python3", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')

    def real_npm(self) -> None:
        (self.bin / "npm").unlink()
        for name in ("node", "npm"):
            (self.bin / name).symlink_to(shutil.which(name) or name)

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    def forget(self) -> None:
        self.calls_file.unlink(missing_ok=True)

    @property
    def installs(self) -> list[str]:
        """What was installed, in order: `npm`, `venv`, or the name of a lock file."""
        found = (re.search(r"^(npm) ci|-m (venv) | install .*tools/locks/(\w+)\.txt$", call) for call in self.calls)
        return [next(filter(None, each.groups())) for each in found if each]

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(USERS_OWN)}
        return {**kept, "PATH": str(self.bin), "CALLS": str(self.calls_file), **(more or {})}

    def pretend(self, name: str, value: str) -> None:
        """Another value of a property of Node's `process`, from before tools/setup.mjs runs."""
        preload = self.folder.parent / "pretend.cjs"
        preload.write_text(f"Object.defineProperty(process, '{name}', {{ value: {value} }})\n")
        self.node_options = ("--require", str(preload))

    @contextmanager
    def spawn(self, command: Sequence[str], **environment: str) -> Iterator["subprocess.Popen[str]"]:
        """A running command in the folder; what is left of it at the end, or after a minute, is killed."""
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            patience = Timer(60, os.killpg, (process.pid, signal.SIGKILL))
            patience.start()
            try:
                yield process
            finally:
                patience.cancel()
                process.poll()
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def start(self, *arguments: str, **environment: str) -> AbstractContextManager["subprocess.Popen[str]"]:
        return self.spawn([NODE, *self.node_options, "tools/setup.mjs", *arguments], **environment)

    def run(self, *arguments: str, **environment: str) -> Ran:
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(timeout=120)
        return Ran(process.returncode, out, err)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")
