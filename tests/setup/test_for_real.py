"""tools/setup.mjs with the real npm, the real pip and a real terminal; still without any network."""

import hashlib
import json
import os
import re
import signal
import sys
import zipfile
from pathlib import Path
from typing import IO

import pytest

from tests.setup.conftest import Checkout
from tools.checkout import ROOT

REAL_UV = ROOT / ".venv" / "bin" / "uv"

NO_NETWORK = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:9/",
    "PIP_RETRIES": "1",
    "PIP_NO_CACHE_DIR": "1",
    "UV_NO_CACHE": "1",
    "UV_HTTP_RETRIES": "0",
    "npm_config_registry": "http://127.0.0.1:9/",
    "npm_config_fetch_retries": "0",
}


def wheel(folder: Path, name: str, script: str | None = None) -> str:
    """Make a package with one empty module, and perhaps a program. Returns it as a line of a lock file."""
    file = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        if script:
            program = zipfile.ZipInfo(f"{name}-1.0.data/scripts/{name}")
            program.external_attr = 0o100755 << 16
            archive.writestr(program, script)
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


def needs_from_npm(checkout: Checkout, name: str, spec: str, locked: dict[str, object], **more: object) -> None:
    needed = {"devDependencies": {name: spec}}
    lock = {"lockfileVersion": 3, "packages": {"": needed, f"node_modules/{name}": locked, **more}}
    (checkout.folder / "package.json").write_text(json.dumps(needed))
    (checkout.folder / "package-lock.json").write_text(json.dumps(lock))


def test_a_group_is_installed_by_its_hashes_and_needs_the_network_for_nothing_else(
    checkout: Checkout, tmp_path: Path
) -> None:
    checkout.real_python()
    checkout.lock("uv", wheel(tmp_path, "uv", f'#!/bin/sh\nexec "{REAL_UV}" "$@"\n'))
    parcel = wheel(tmp_path, "parcel")
    checkout.lock("tiny", parcel)
    here = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    here |= {"UV_DEFAULT_INDEX": tmp_path.as_uri(), "UV_FIND_LINKS": str(tmp_path), "UV_NO_CACHE": "1"}
    command = ("tiny", "--", "python", "-c", "import parcel, sys; print(parcel.__name__, sys.prefix)")

    first = checkout.run(*command, **here)
    second = checkout.run(*command, **NO_NETWORK)
    checkout.lock("tiny", parcel + parcel.replace("parcel", "letter"))
    third = checkout.run(*command, **NO_NETWORK)
    wheel(tmp_path, "letter")
    fourth = checkout.run(*command, **here)

    assert first.out.splitlines()[-1:] == [f"parcel {checkout.folder}/.venv"], first.err
    assert second == (0, f"parcel {checkout.folder}/.venv\n", "")
    title, log = "Installing the Python packages for tiny", "(log: .local/setup.log)\n"
    assert (third.code, third.err) == (1, f"{title}: there is no network, and this step needs it {log}")
    assert fourth.code == 1
    assert "Hash mismatch for `letter==1.0`" in (checkout.folder / ".local" / "setup.log").read_text()


def test_without_a_network_npm_fails_with_one_line_and_the_log(checkout: Checkout, tmp_path: Path) -> None:
    checkout.python()
    checkout.real_npm()
    needs_from_npm(checkout, "parcel", "1.0.0", {"version": "1.0.0", "integrity": "sha512-" + "A" * 86 + "=="})

    ran = checkout.run("--", "sh", "-c", "true", **NO_NETWORK, npm_config_cache=str(tmp_path / "cache"))

    assert ran.code == 1
    assert ran.err == (
        "Installing the Serverless Framework (osls): there is no network, and this step needs it "
        "(log: .local/setup.log)\n"
    )


def test_the_framework_is_installed_whatever_node_env_says(checkout: Checkout) -> None:
    checkout.python()
    checkout.real_npm()
    needs_from_npm(checkout, "tool", "file:tool", {"resolved": "tool", "link": True}, tool={"version": "1.0.0"})
    (checkout.folder / "tool").mkdir()
    (checkout.folder / "tool" / "package.json").write_text('{"name": "tool", "version": "1.0.0"}')

    ran = checkout.run("--", "sh", "-c", "cat node_modules/tool/package.json", NODE_ENV="production")

    assert (ran.code, ran.out.splitlines()[-1:]) == (0, ['{"name": "tool", "version": "1.0.0"}']), ran.err


IN_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"

COUNTING = """
import os, signal, sys
awaited = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
print("the terminal's first process:", os.getsid(0), flush=True)
interrupts = 0
while signal.sigwait(awaited) == signal.SIGINT:
    interrupts += 1
    print("interrupted", flush=True)
print("interrupted in all:", interrupts, flush=True)
sys.exit(3)
"""


def seen(screen: IO[str], text: str) -> str:
    """What stands after the text, as soon as it is on the screen."""
    for line in screen:
        if found := re.search(f"{text}:? ?(.*)$", line):
            return found[1]
    raise AssertionError(f"the terminal was closed before it showed: {text}")


def test_each_npm_script_takes_the_shells_place() -> None:
    """npm passes signals on to its shell, and one that stays, as Debian's does, dies of SIGTERM and leaves the rest."""
    scripts = json.loads((ROOT / "package.json").read_text())["scripts"]

    assert [name for name, script in scripts.items() if not script.startswith("exec node tools/setup.mjs ")] == []


@pytest.mark.parametrize("through", ["npm", "node"])
def test_ctrl_c_in_a_terminal_reaches_the_command_once(checkout: Checkout, through: str) -> None:
    """The terminal sends it to every process there, and npm passes it on besides."""
    checkout.python()
    checkout.real_npm()
    script = f"exec node tools/setup.mjs -- {sys.executable} counting.py"
    (checkout.folder / "package.json").write_text(json.dumps({"scripts": {"start": script}}))
    (checkout.folder / "package-lock.json").write_text('{"lockfileVersion": 3, "packages": {"": {}}}')
    (checkout.folder / "node_modules").mkdir()
    (checkout.folder / "counting.py").write_text(COUNTING)

    command = ["npm", "start"] if through == "npm" else script.split()[1:]
    with checkout.spawn([sys.executable, "-c", IN_A_TERMINAL, *command]) as terminal:
        assert terminal.stdin
        assert terminal.stdout
        first = int(seen(terminal.stdout, "the terminal's first process"))
        for _ in range(5):  # two at a time may look like one
            terminal.stdin.write("\x03")
            terminal.stdin.flush()
            seen(terminal.stdout, "interrupted")
        os.kill(first, signal.SIGTERM)  # comes after every Ctrl-C, by the same way

        assert seen(terminal.stdout, "interrupted in all") == "5"
        terminal.stdin.close()
        assert terminal.wait(30) == 3
