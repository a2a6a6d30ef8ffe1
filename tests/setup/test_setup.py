"""tools/setup.mjs: it sets up what is missing, once, and says in one line what it can't do."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.__main__ import _parser
from local.emulator.ports import in_use
from tests.setup.conftest import NODE, Checkout
from tools.checkout import ROOT

NOTHING = ("tiny", "--", "sh", "-c", "true")


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    return text


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# --- what is missing, and what is there -------------------------------------------------------------------------------


def test_the_first_command_sets_up_and_says_so_and_the_next_one_does_neither(checkout: Checkout) -> None:
    checkout.python()

    first = checkout.run(*NOTHING)

    assert first.code == 0, first.err
    assert re.fullmatch(r"Setting up this checkout for tiny … \d+ s\n", first.out)
    assert sorted(checkout.installs) == ["npm", "tiny", "uv", "venv"]
    log = (checkout.folder / ".local" / "setup.log").read_text()
    assert "$ .venv/bin/python -m pip --disable-pip-version-check install --require-hashes -r tools/locks/uv.txt" in log
    packages = "pip install --python .venv/bin/python --require-hashes -r tools/locks/tiny.txt"
    assert f"$ .venv/bin/python -m tools.uv {packages}" in log

    checkout.forget()
    assert checkout.run(*NOTHING) == (0, "", "")
    assert checkout.calls == []


def test_npm_and_python_packages_are_installed_at_the_same_time(checkout: Checkout) -> None:
    checkout.python()
    until_python = f'while ! grep -q "tiny.txt" "{checkout.calls_file}"; do sleep 0.02; done'
    checkout.program("npm", f"#!/bin/sh\n{until_python}\nmkdir -p node_modules\n")

    assert checkout.run(*NOTHING).code == 0


def test_a_group_installs_its_own_packages_only(checkout: Checkout) -> None:
    checkout.python()

    checkout.run("--", "sh", "-c", "true")
    assert sorted(checkout.installs) == ["npm", "uv", "venv"]
    for group in ("tiny", "other"):
        checkout.forget()
        checkout.run(group, "--", "sh", "-c", "true")
        assert checkout.installs == [group]


def test_a_changed_lock_is_installed_and_so_is_that_of_another_branch(checkout: Checkout) -> None:
    """The groups share one environment: tiny's packages of the other branch may be in other's way."""
    checkout.python()
    checkout.run("tiny", "other", "--", "sh", "-c", "true")
    checkout.forget()

    checkout.lock("tiny", "# of another branch\n")
    (checkout.folder / "package-lock.json").write_text('{"changed": true}')
    checkout.run(*NOTHING)
    checkout.lock("tiny", "# nothing\n")
    checkout.run("other", "--", "sh", "-c", "true")

    assert sorted(checkout.installs) == ["npm", "other", "tiny"]


def test_a_group_that_is_set_apart_has_an_environment_of_its_own(checkout: Checkout) -> None:
    checkout.python()

    ran = checkout.run("tiny", "scan", "--", "sh", "-c", "echo $PATH")

    assert [call.partition(" -m tools.uv ")[2] for call in checkout.calls if "scan" in call] == [
        "venv --clear --python .venv/bin/python .venv/scan",
        "pip install --python .venv/scan/bin/python --require-hashes -r tools/locks/scan.txt",
    ]
    venv = f"{checkout.folder}/.venv"
    assert ran.out.splitlines()[-1].startswith(f"{venv}/bin:{venv}/scan/bin:{checkout.folder}/node_modules/.bin:")


def test_a_group_of_npm_packages_is_installed_in_its_own_folder_once_and_goes_with_a_clean(checkout: Checkout) -> None:
    """A reader of `npm start` never waits for what only a check needs."""
    checkout.python()
    checkout.run("tiny", "--", "sh", "-c", "true")
    log = checkout.folder / ".local" / "setup.log"
    command = "$ npm ci --prefix tools/asyncapi --ignore-scripts"  # one package's script would report to its maker
    assert command not in log.read_text()

    for _ in range(2):
        assert checkout.run("asyncapi", "--", "sh", "-c", "true").code == 0
    assert log.read_text().count(command) == 1

    packages = checkout.folder / "tools" / "asyncapi" / "node_modules"
    shutil.rmtree(packages)
    assert checkout.run("asyncapi", "--", "sh", "-c", "true").code == 0
    assert packages.exists()

    checkout.run("clean")
    assert not packages.exists()


@pytest.mark.parametrize("arguments", [(), ("tiny",), ("tiny", "--"), ("tiny", "other")])
def test_without_a_command_one_line_says_how(checkout: Checkout, arguments: tuple[str, ...]) -> None:
    assert checkout.run(*arguments) == (1, "", "usage: node tools/setup.mjs [GROUP …] -- COMMAND\n")


@pytest.mark.parametrize("step", ["npm", "venv", "uv", "tiny"])
def test_an_interrupted_set_up_is_done_again(checkout: Checkout, step: str) -> None:
    checkout.python()
    npm, python = (checkout.bin / "npm").read_text(), (checkout.bin / "python3").read_text()
    if step == "npm":
        checkout.program("npm", "#!/bin/sh\nmkdir -p node_modules/.bin\nkill -9 $$\n")
    else:
        dies = 'mkdir -p "$3/bin"; kill -9 $$' if step == "venv" else "kill -9 $$"
        at = {"venv": "-m venv *", "uv": "*locks/uv.txt", "tiny": "*locks/tiny.txt"}[step]
        checkout.program("python3", python.replace("\n", f'\ncase "$*" in {at}) {dies} ;; esac\n', 1))
    assert checkout.run(*NOTHING).code == 1
    checkout.program("npm", npm)
    checkout.program("python3", python)
    checkout.forget()

    assert checkout.run(*NOTHING).code == 0

    assert step in checkout.installs


def test_a_checkout_that_was_moved_gets_a_new_virtual_environment(checkout: Checkout) -> None:
    checkout.python()
    checkout.run(*NOTHING)
    checkout.forget()
    checkout.folder = checkout.folder.rename(checkout.folder.parent / "moved")

    assert checkout.run(*NOTHING).code == 0
    assert checkout.installs == ["venv", "uv", "tiny"]


@pytest.mark.parametrize("change", ["gone", "another"])
def test_a_python_that_has_gone_or_changed_is_replaced(checkout: Checkout, change: str) -> None:
    checkout.python()
    checkout.run("tiny", "scan", "--", "sh", "-c", "true")
    python = checkout.folder / ".venv" / "bin" / "python"
    python.unlink()
    if change == "another":  # the system's python3, now of another version
        checkout.python("python3.13", "3 13")
        python.symlink_to(checkout.bin / "python3.13")
    checkout.forget()

    assert checkout.run("scan", "--", "sh", "-c", "true").code == 0
    assert checkout.installs == ["venv", "uv", "scan"]


# --- which Python and which Node --------------------------------------------------------------------------------------


def test_the_newest_python_is_taken_and_after_it_none_is_run(checkout: Checkout) -> None:
    """macOS's own python3, for one, opens a window that offers the developer tools."""
    checkout.python("python3", "3 9")
    checkout.python("python3.12", "3 12")
    checkout.python("python3.13", "3 13")

    assert checkout.run(*NOTHING).code == 0
    assert "python3.13 -m venv .venv" in checkout.calls
    assert not any(call.startswith(("python3 ", "python3.12 ")) for call in checkout.calls)


def test_the_python_that_is_named_comes_first(checkout: Checkout) -> None:
    checkout.python("python3.14", "3 14")
    checkout.python("mine", "3 11")

    assert checkout.run(*NOTHING, PYTHON="mine").code == 0
    assert "mine -m venv .venv" in checkout.calls


@pytest.mark.parametrize("is_set_up", [False, True])
@pytest.mark.parametrize(
    ("name", "what"), [("/gone/python3.12", "is not a Python 3 that runs"), ("python3.9", "is Python 3.9")]
)
def test_a_named_python_that_does_not_do_is_said_in_one_line(
    checkout: Checkout, name: str, what: str, is_set_up: bool
) -> None:
    checkout.python("python3.9", "3 9")
    checkout.python()
    if is_set_up:
        checkout.run(*NOTHING)

    ran = checkout.run(*NOTHING, PYTHON=name)

    assert (ran.code, ran.out) == (1, "")
    assert one_line(ran.err) == f"PYTHON={name} {what}: name one of 3.11 or newer, or unset PYTHON\n"


def test_a_named_python_that_is_not_the_one_of_the_virtual_environment_is_said_in_one_line(checkout: Checkout) -> None:
    checkout.python("python3.12", "3 12")
    checkout.python("python3.13", "3 13")
    assert checkout.run(*NOTHING, PYTHON="python3.12").code == 0
    assert checkout.run(*NOTHING, PYTHON="python3.12") == (0, "", "")

    ran = checkout.run(*NOTHING, PYTHON="python3.13")

    assert (ran.code, ran.out) == (1, "")
    assert one_line(ran.err) == (
        f".venv was made with {checkout.bin / 'python3.12'}, not with PYTHON=python3.13: "
        "run npm run clean first, or unset PYTHON\n"
    )
    checkout.run("clean")
    assert checkout.run(*NOTHING, PYTHON="python3.13").code == 0


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
def test_a_node_that_does_not_fit_is_named(checkout: Checkout, version: str) -> None:
    checkout.pretend("versions", f"{{ node: '{version}' }}")

    ran = checkout.run(*NOTHING)

    assert ran.code == 1
    assert one_line(ran.err) == f"Node {version} does not fit: install 20.19+, 22.13+ or 24+.\n"


@pytest.mark.parametrize("version", ["20.19.0", "22.13.0", "24.0.0", "26.1.0"])
def test_a_node_that_fits_is_taken(checkout: Checkout, version: str) -> None:
    checkout.python()
    checkout.pretend("versions", f"{{ node: '{version}' }}")

    assert checkout.run(*NOTHING).code == 0


def test_the_nodes_that_fit_are_those_that_osls_takes() -> None:
    """Read in package.json and in the lock; when osls takes others, tools/setup.mjs and the tests above change too."""
    package = json.loads((ROOT / "package.json").read_text())
    lock = json.loads((ROOT / "package-lock.json").read_text())

    assert package["engines"]["node"] == "^20.19.0 || ^22.13.0 || >=24.0.0"
    assert lock["packages"]["node_modules/osls"]["engines"]["node"] == "^20.19.0 || ^22.13.0 || >=24"


def test_the_npm_lock_names_osls_exactly_no_host_and_no_framework_that_needs_a_login() -> None:
    lock = (ROOT / "package-lock.json").read_text()
    packages = json.loads(lock)["packages"]

    assert packages[""]["devDependencies"] == {"osls": packages["node_modules/osls"]["version"]}
    assert '"resolved"' not in lock
    assert [name for name in packages if name.endswith("node_modules/serverless")] == []


def test_windows_is_sent_to_wsl(checkout: Checkout) -> None:
    checkout.pretend("platform", "'win32'")

    ran = checkout.run(*NOTHING)

    assert (ran.code, ran.err) == (1, "On Windows this runs in WSL 2: wsl --install\n")


# --- which ports ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["emulator", "storefront"])
def test_a_taken_port_of_npm_start_is_found_before_anything_is_installed(checkout: Checkout, whose: str) -> None:
    checkout.python()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        port = taken if whose == "emulator" else taken - 1
        ran = checkout.run("tiny", "--", "python", "-m", "local", "--once", f"--port={port}")

    assert ran.code == 1
    the_launchers, _, _ = in_use(taken).rpartition(" ")
    assert re.fullmatch(rf"{re.escape(the_launchers)} \d+\n", one_line(ran.err))
    assert checkout.calls == []


def test_only_npm_start_needs_its_ports_and_a_running_stack_keeps_them(checkout: Checkout) -> None:
    """Of a second start the launcher says where the first one is."""
    checkout.python()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert checkout.run("tiny", "--", "sh", "-c", "true", "--port", port).code == 0
        (checkout.folder / ".local" / "emulator.json").touch()
        assert checkout.run("other", "--", "python", "-m", "local", "--port", port).code == 0


def test_set_up_and_launcher_have_the_same_port_by_default() -> None:
    """The first one looks before there is a Python; both are asked without --port."""
    setup = (ROOT / "tools" / "setup.mjs").read_text()

    assert f"default: '{_parser().parse_args([]).port}'" in setup


# --- what fails -------------------------------------------------------------------------------------------------------


def test_a_python_without_ensurepip_says_what_to_install(checkout: Checkout) -> None:
    hidden = checkout.bin / "hidden"
    hidden.mkdir()
    (hidden / "ensurepip.py").write_text("raise ModuleNotFoundError\n")
    checkout.program("python3", f'#!/bin/sh\nPYTHONPATH="{hidden}" exec "{sys.executable}" "$@"\n')
    apt_package = f"python3.{sys.version_info[1]}-venv"

    ran = checkout.run(*NOTHING)

    assert ran.code == 1
    assert one_line(ran.err) == (
        f"python3-venv is missing: python3 has no ensurepip (Debian and Ubuntu: sudo apt install {apt_package})\n"
    )
    assert not (checkout.folder / ".venv").exists()


@pytest.mark.parametrize(
    ("npm_says", "line"),
    [
        ("npm error code ENOTFOUND", "there is no network, and this step needs it"),
        ("npm error code ENOSPC\nnpm error nospc No space.", "the disk is full: make room, and run it again"),
        (
            "npm error code SELF_SIGNED_CERT_IN_CHAIN",
            "the network's certificate is not trusted: set NODE_EXTRA_CA_CERTS and PIP_CERT to its authority's file",
        ),
        ("npm error code EODD\nnpm error odd The reason.\nnpm error A log: /some", "failed: npm error odd The reason."),
        ("Something.\nSomething else.", "failed: Something else."),
    ],
)
def test_an_error_of_npm_s_is_one_line_with_the_fix(checkout: Checkout, npm_says: str, line: str) -> None:
    checkout.python()
    checkout.program("npm", f"#!/bin/sh\necho '{npm_says}' >&2\nexit 1\n")

    ran = checkout.run(*NOTHING)

    assert ran.code == 1
    assert one_line(ran.err) == f"Installing the Serverless Framework (osls): {line} (log: .local/setup.log)\n"
    assert npm_says in (checkout.folder / ".local" / "setup.log").read_text()


@pytest.mark.parametrize(
    ("lock", "title", "says", "line"),
    [
        ("uv", "Installing uv", "NewConnectionError", "there is no network"),
        ("uv", "Installing uv", "[SSL: CERTIFICATE_VERIFY_FAILED]", "the network's certificate is not trusted"),
        ("uv", "Installing uv", "Said first.\nERROR: The reason.\nSaid last.", "failed: ERROR: The reason."),
        ("tiny", "packages for tiny", "cause: error sending request for url", "there is no network"),
        ("tiny", "packages for tiny", "cause: invalid peer certificate: UnknownIssuer", "certificate is not trusted"),
        ("tiny", "packages for tiny", "cause: No space left on device (os error 28)", "the disk is full"),
        ("tiny", "packages for tiny", "Resolved.\nerror: The reason.\n  cause: Another.", "failed: error: The reason."),
    ],
)
def test_what_pip_and_uv_fail_on_is_said_in_one_line_with_the_mend(
    checkout: Checkout, lock: str, title: str, says: str, line: str
) -> None:
    checkout.python()
    body = (checkout.bin / "python3").read_text()
    fails = f"case \"$*\" in *locks/{lock}.txt) echo '{says}' >&2; exit 1 ;; esac"
    checkout.program("python3", body.replace("\n", f"\n{fails}\n", 1))

    ran = checkout.run(*NOTHING)

    assert ran.code == 1
    assert title in one_line(ran.err)
    assert line in ran.err


def test_what_fails_stops_what_runs_beside_it(checkout: Checkout) -> None:
    npms_id = checkout.bin / "npm.id"
    checkout.program("npm", f'#!/bin/sh\nln -s $$ "{npms_id}"\nexec sleep 60\n')
    fails = f'until [ -L "{npms_id}" ]; do sleep 0.02; done; exit 1'
    checkout.program("python3", f'#!/bin/sh\ncase "$*" in *version_info*) echo 3 11; echo "$0" ;; *) {fails} ;; esac\n')

    ran = checkout.run(*NOTHING)

    assert one_line(ran.err).startswith("Making a virtual environment in .venv: failed")
    with pytest.raises(ProcessLookupError):
        os.kill(int(npms_id.readlink().name), 0)


def test_without_npm_one_line_says_so(checkout: Checkout) -> None:
    checkout.python()
    (checkout.bin / "npm").unlink()

    ran = checkout.run(*NOTHING)

    assert ran.code == 1
    assert "npm is not on the PATH; it comes with Node" in one_line(ran.err)


def test_a_folder_that_can_not_be_made_is_named_in_one_line(checkout: Checkout) -> None:
    (checkout.folder / ".local").touch()

    ran = checkout.run(*NOTHING)

    assert ran.code == 1
    assert "'.local'" in one_line(ran.err)


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
            assert second.wait(30) == 0
        assert first.wait(30) == 0
    assert len([call for call in checkout.calls if "npm ci" in call]) == 1


def test_a_lock_that_a_killed_command_left_is_taken_over(checkout: Checkout) -> None:
    checkout.python()
    with subprocess.Popen(["sleep", "0"]) as gone:
        gone.wait()
    (checkout.folder / ".local").mkdir()
    (checkout.folder / ".local" / "setup.lock").symlink_to(str(gone.pid))

    assert checkout.run(*NOTHING).code == 0


def test_a_lock_with_our_own_id_is_from_another_container_and_taken_over(checkout: Checkout) -> None:
    checkout.python()
    (checkout.folder / ".local").mkdir()
    script = f'ln -s $$ .local/setup.lock; exec "{NODE}" tools/setup.mjs tiny -- sh -c true'

    with checkout.spawn(["sh", "-c", script]) as process:
        assert process.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_set_up_that_is_stopped_stops_what_it_started_and_is_redone(
    checkout: Checkout, number: signal.Signals
) -> None:
    checkout.python()
    npm = (checkout.bin / "npm").read_text()
    npms_id = checkout.bin / "npm.id"
    checkout.program("npm", f'#!/bin/sh\nln -s $$ "{npms_id}"\nexec sleep 60\n')
    with checkout.start(*NOTHING) as process:
        until(npms_id.is_symlink)
        process.send_signal(number)

        assert process.wait(30) == 128 + number
        assert process.stderr
        assert process.stderr.read() == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(npms_id.readlink().name), 0)
    assert not (checkout.folder / ".local" / "setup.lock").is_symlink()

    checkout.program("npm", npm)
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

        assert process.wait(30) == 5
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

    assert (ran.code, ran.out) == (0, "Removed everything that the commands made.\n")
    left = {str(file.relative_to(checkout.folder)) for file in checkout.folder.rglob("*") if file.is_file()}
    locks = {f"tools/locks/{group}.txt" for group in ("uv", "tiny", "other", "scan")}
    assert left == {*locks, "orders/mine.py", "package-lock.json", "package.json", "tools/setup.mjs", "tools/uv.py"}


def test_clean_refuses_while_a_stack_runs(checkout: Checkout) -> None:
    (checkout.folder / ".local").mkdir()
    (checkout.folder / ".local" / "emulator.json").write_text(f'{{"pid": {os.getpid()}}}')

    ran = checkout.run("clean")

    assert ran.code == 1
    assert one_line(ran.err) == "a local stack is running (.local/emulator.json): stop it first, with Ctrl-C\n"
    assert (checkout.folder / ".local" / "emulator.json").exists()


def test_clean_refuses_while_another_command_sets_up(checkout: Checkout) -> None:
    (checkout.folder / ".local").mkdir()
    (checkout.folder / ".local" / "setup.lock").symlink_to(str(os.getpid()))

    ran = checkout.run("clean")

    assert (ran.code, ran.err) == (1, "another command is setting up this checkout: wait for it\n")
    assert (checkout.folder / ".local").exists()


def test_clean_removes_all_that_git_is_told_to_ignore(checkout: Checkout) -> None:
    lines = (ROOT / ".gitignore").read_text().splitlines()
    ignored = [checkout.folder / line for line in lines if line and not line.startswith("#")]
    assert ignored
    for folder in ignored:
        folder.mkdir()

    assert checkout.run("clean").code == 0
    assert [folder.name for folder in ignored if folder.exists()] == []


def test_clean_passes_over_what_a_crash_left(checkout: Checkout) -> None:
    with subprocess.Popen(["sleep", "0"]) as gone:
        gone.wait()
    (checkout.folder / ".local").mkdir()
    (checkout.folder / ".local" / "emulator.json").write_text(f'{{"pid": {gone.pid}}}')

    assert checkout.run("clean").code == 0
    assert not (checkout.folder / ".local").exists()
