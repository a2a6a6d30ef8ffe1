"""setup.mjs: it sets up what is missing, once, and says in one line what it can't do."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.setup.conftest import Checkout

NOTHING = ("tiny", "--", "sh", "-c", "true")


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    return text


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# --- what is missing, and what is there -------------------------------------------------------------------------------


def test_the_first_command_sets_up_and_says_so(checkout: Checkout) -> None:
    checkout.python()

    ran = checkout.run(*NOTHING)

    assert ran.code == 0, ran.err
    assert [line.split(" …")[0] for line in ran.out.splitlines()] == [
        "Making a virtual environment in .venv",
        "Installing the Serverless Framework (osls)",
        "Installing the Python packages for tiny",
    ]
    assert len(checkout.installs) == 3


def test_what_is_set_up_is_neither_installed_nor_mentioned_again(checkout: Checkout) -> None:
    checkout.python()
    checkout.run(*NOTHING)
    checkout.forget()

    ran = checkout.run(*NOTHING)

    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert checkout.installs == []


def test_a_group_installs_its_own_packages_only(checkout: Checkout) -> None:
    checkout.python()
    checkout.run(*NOTHING)
    checkout.forget()

    checkout.run("other", "--", "sh", "-c", "true")

    [call] = checkout.installs
    assert call.endswith("--require-hashes -r packaging/locks/other.txt")


def test_the_group_deploy_needs_no_python_packages(checkout: Checkout) -> None:
    checkout.python()

    assert checkout.run("deploy", "--", "sh", "-c", "true").code == 0
    assert not any("pip install" in call for call in checkout.installs)


def test_a_changed_lock_is_installed(checkout: Checkout) -> None:
    checkout.python()
    checkout.run(*NOTHING)
    checkout.forget()
    checkout.lock("tiny", "# another\n")
    (checkout.folder / "package-lock.json").write_text('{"changed": true}')

    checkout.run(*NOTHING)

    assert ["npm ci" in call or "tiny.txt" in call for call in checkout.installs] == [True, True]


@pytest.mark.parametrize("step", ["npm", "pip", "venv"])
def test_an_interrupted_set_up_is_done_again(checkout: Checkout, step: str) -> None:
    checkout.python()
    if step == "npm":
        checkout.program("npm", "#!/bin/sh\nmkdir -p node_modules/.bin\nkill -9 $$\n")
    else:
        broken = "#!/bin/sh\n" + f'case "$*" in *{step}*) mkdir -p "$3/bin"; kill -9 $$ ;; esac\n'
        body = (checkout.bin / "python3").read_text().partition("\n")[2]
        checkout.program("python3", broken + body)
    assert checkout.run(*NOTHING).code == 1
    checkout.program("npm", '#!/bin/sh\necho "npm $*" >>"$CALLS"\nmkdir -p node_modules/.bin\n')
    checkout.python()
    if step == "pip":
        (checkout.folder / ".venv" / "bin" / "python").write_text((checkout.bin / "python3").read_text())
    checkout.forget()

    assert checkout.run(*NOTHING).code == 0

    again = {"npm": "npm ci", "pip": "pip install", "venv": "-m venv"}[step]
    assert any(again in call for call in checkout.installs)


def test_a_checkout_that_was_moved_gets_a_new_virtual_environment(checkout: Checkout) -> None:
    checkout.python()
    checkout.run(*NOTHING)
    checkout.forget()
    checkout.folder = checkout.folder.rename(checkout.folder.parent / "moved")

    assert checkout.run(*NOTHING).code == 0
    assert any("-m venv" in call for call in checkout.installs)
    assert any("pip install" in call for call in checkout.installs)


def test_a_python_that_has_gone_is_replaced(checkout: Checkout) -> None:
    checkout.python()
    checkout.run(*NOTHING)
    (checkout.folder / ".venv" / "bin" / "python").unlink()
    checkout.forget()

    assert checkout.run(*NOTHING).code == 0
    assert any("-m venv" in call for call in checkout.installs)


# --- which Python and which Node --------------------------------------------------------------------------------------


def test_the_newest_python_is_taken(checkout: Checkout) -> None:
    checkout.python("python3", "3 9")
    checkout.python("python3.12", "3 12")
    checkout.python("python3.13", "3 13")

    assert checkout.run(*NOTHING).code == 0
    assert "python3.13 -m venv" in (checkout.folder / ".local" / "setup.log").read_text()


def test_the_python_that_is_named_comes_first(checkout: Checkout) -> None:
    checkout.python("python3.14", "3 14")
    checkout.python("mine", "3 11")

    assert checkout.run(*NOTHING, PYTHON="mine").code == 0
    assert "mine -m venv" in (checkout.folder / ".local" / "setup.log").read_text()


def test_a_python_that_does_not_run_is_passed_over(checkout: Checkout) -> None:
    checkout.program("python3.14", '#!/bin/sh\necho "pyenv: python3.14: command not found" >&2\nexit 127\n')
    checkout.python()

    assert checkout.run(*NOTHING).code == 0


def test_without_python_one_line_says_what_was_tried(checkout: Checkout) -> None:
    ran = checkout.run(*NOTHING)

    assert ran.code == 1
    assert one_line(ran.err) == (
        "no Python 3.11 or newer (tried python3.14, python3.13, python3.12, python3.11, python3, python): "
        "install one, or name it: PYTHON=/path/to/python3.12\n"
    )


def test_a_python_that_is_too_old_is_named(checkout: Checkout) -> None:
    checkout.python("python3", "3 9")

    ran = checkout.run(*NOTHING)

    assert ran.code == 1
    assert "no Python 3.11 or newer (python3 is 3.9)" in one_line(ran.err)


@pytest.mark.parametrize("version", ["18.20.0", "20.18.1", "22.12.0", "23.0.0"])
def test_a_node_that_does_not_fit_is_named(checkout: Checkout, tmp_path: Path, version: str) -> None:
    preload = tmp_path / "version.cjs"
    preload.write_text(f"Object.defineProperty(process, 'versions', {{ value: {{ node: '{version}' }} }})\n")

    ran = checkout.run(*NOTHING, node=("--require", str(preload)))

    assert ran.code == 1
    assert one_line(ran.err) == f"Node {version} does not fit: install 20.19+, 22.13+ or 24+.\n"


# --- what fails -------------------------------------------------------------------------------------------------------


def test_a_python_without_ensurepip_says_what_to_install(checkout: Checkout) -> None:
    checkout.program(
        "python3",
        "#!/bin/sh\n"
        'case "$*" in *version_info*) echo "3 11" ;;\n'
        '*venv*) echo "The virtual environment was not created: ensurepip is not available"; exit 1 ;; esac\n',
    )

    ran = checkout.run(*NOTHING)

    assert ran.code == 1
    assert "has no ensurepip: install it (Debian and Ubuntu: sudo apt install python3-venv)" in one_line(ran.err)


def test_without_a_network_one_line_says_so_and_names_the_log(checkout: Checkout) -> None:
    checkout.real_python()
    checkout.lock("tiny", "idna==3.10 --hash=sha256:" + "0" * 64 + "\n")

    ran = checkout.run(
        *NOTHING, PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="1", PIP_NO_CACHE_DIR="1"
    )

    assert ran.code == 1
    line = one_line(ran.err)
    assert "there is no network, and this step needs it (log: .local/setup.log)" in line
    assert "NewConnectionError" in (checkout.folder / ".local" / "setup.log").read_text()


def test_npm_without_a_network_says_so(checkout: Checkout) -> None:
    checkout.python()
    checkout.program("npm", '#!/bin/sh\necho "npm error code ENOTFOUND" >&2\nexit 1\n')

    ran = checkout.run(*NOTHING)

    assert "Installing the Serverless Framework (osls): there is no network" in one_line(ran.err)


def test_another_failure_shows_its_last_line_and_the_log(checkout: Checkout) -> None:
    checkout.python()
    checkout.program("npm", '#!/bin/sh\necho "npm error code ENOSPC" >&2\nexit 1\n')

    ran = checkout.run(*NOTHING)

    assert ran.code == 1
    assert one_line(ran.err).endswith("failed: npm error code ENOSPC (log: .local/setup.log)\n")


# --- two at once ------------------------------------------------------------------------------------------------------


def test_of_two_commands_at_once_one_sets_up_and_the_other_waits(checkout: Checkout, tmp_path: Path) -> None:
    go = tmp_path / "go"
    checkout.python()
    checkout.program("npm", f'#!/bin/sh\necho "npm $*" >>"$CALLS"\nwhile [ ! -e {go} ]; do sleep 0.05; done\n'
                     "mkdir -p node_modules/.bin\n")  # fmt: skip
    with checkout.start(*NOTHING) as first:
        until(lambda: any("npm ci" in call for call in checkout.calls))
        with checkout.start(*NOTHING) as second:
            assert second.stdout
            assert second.stdout.readline() == "Another command is setting up this checkout; waiting for it …\n"
            go.touch()
            assert second.wait(60) == 0
        assert first.wait(60) == 0
    assert len([call for call in checkout.calls if "npm ci" in call]) == 1


def test_a_lock_that_a_killed_command_left_is_taken_over(checkout: Checkout) -> None:
    checkout.python()
    with subprocess.Popen(["sleep", "0"]) as gone:
        gone.wait()
    (checkout.folder / ".local").mkdir()
    (checkout.folder / ".local" / "setup.lock").write_text(str(gone.pid))

    assert checkout.run(*NOTHING).code == 0


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_gets_its_arguments_as_they_are_and_its_exit_code_is_ours(checkout: Checkout) -> None:
    checkout.python()
    checkout.run(*NOTHING)

    ran = checkout.run("tiny", "--", "sh", "-c", 'echo "$1|$2"; exit 7', "sh", "a b", "*")

    assert (ran.code, ran.out) == (7, "a b|*\n")


def test_the_checkouts_own_python_and_tools_come_first(checkout: Checkout) -> None:
    checkout.python()
    checkout.run(*NOTHING)

    path = checkout.run("tiny", "--", "sh", "-c", "echo $PATH").out

    assert path.startswith(f"{checkout.folder}/.venv/bin:{checkout.folder}/node_modules/.bin:")


def test_a_command_that_is_not_there_is_named(checkout: Checkout) -> None:
    checkout.python()
    checkout.run(*NOTHING)

    assert "nonesuch does not start" in one_line(checkout.run("tiny", "--", "nonesuch").err)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_command_and_its_clean_stop_is_awaited(
    checkout: Checkout, tmp_path: Path, number: signal.Signals
) -> None:
    checkout.python()
    checkout.run(*NOTHING)
    ready, stopped = tmp_path / "ready", tmp_path / "stopped"
    script = (
        f"trap 'sleep 0.3; echo > {stopped}; exit 5' {number.name[3:]}; echo > {ready}; while true; do sleep 0.05; done"
    )

    with checkout.start("tiny", "--", "bash", "-c", script) as process:
        until(ready.exists)
        process.send_signal(number)

        assert process.wait(60) == 5
    assert stopped.exists()


def test_a_command_that_a_signal_ends_gives_the_shells_exit_code(checkout: Checkout) -> None:
    checkout.python()
    checkout.run(*NOTHING)

    assert checkout.run("tiny", "--", "sh", "-c", "kill -9 $$").code == 128 + signal.SIGKILL


# --- clean ------------------------------------------------------------------------------------------------------------


def test_clean_removes_what_the_commands_made_and_nothing_else(checkout: Checkout) -> None:
    checkout.python()
    checkout.run(*NOTHING)
    (checkout.folder / "orders" / "__pycache__").mkdir(parents=True)
    (checkout.folder / "orders" / "mine.py").touch()
    (checkout.folder / ".serverless").mkdir()

    ran = checkout.run("clean")

    assert (ran.code, ran.out) == (0, "Removed what the commands made.\n")
    left = sorted(str(file.relative_to(checkout.folder)) for file in checkout.folder.rglob("*") if file.is_file())
    assert left == [
        "orders/mine.py",
        "package-lock.json",
        "package.json",
        "packaging/locks/other.txt",
        "packaging/locks/tiny.txt",
        "setup.mjs",
    ]


def test_clean_refuses_while_a_stack_runs(checkout: Checkout) -> None:
    (checkout.folder / ".local").mkdir()
    (checkout.folder / ".local" / "emulator.json").write_text(f'{{"pid": {os.getpid()}}}')

    ran = checkout.run("clean")

    assert ran.code == 1
    assert one_line(ran.err) == "a local stack is running (.local/emulator.json): stop it first, with Ctrl-C\n"
    assert (checkout.folder / ".local" / "emulator.json").exists()


def test_clean_passes_over_what_a_crash_left(checkout: Checkout) -> None:
    with subprocess.Popen(["sleep", "0"]) as gone:
        gone.wait()
    (checkout.folder / ".local").mkdir()
    (checkout.folder / ".local" / "emulator.json").write_text(f'{{"pid": {gone.pid}}}')

    assert checkout.run("clean").code == 0
    assert not (checkout.folder / ".local").exists()
