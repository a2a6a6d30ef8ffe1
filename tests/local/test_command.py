"""How a command ends."""

import errno
import os
import signal
from collections.abc import Iterator

import pytest

from local.emulator.state import LocalError
from local.launcher import command
from local.launcher.command import carry_out


@pytest.fixture(autouse=True)
def signals_of_the_test_run() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_command_that_does_its_work_ends_with_what_it_says() -> None:
    assert (carry_out(lambda: 0), carry_out(lambda: 3)) == (0, 3)


def test_what_keeps_it_from_its_work_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise LocalError("port 1 is in use")

    assert carry_out(fail) == 1
    assert capsys.readouterr().err == "port 1 is in use\n"


@pytest.mark.parametrize(("number", "quiet"), [(errno.EPIPE, True), (errno.EIO, True), (errno.ENOSPC, False)])
def test_a_reader_that_goes_away_needs_no_message_and_any_other_error_of_the_output_is_not_hidden(
    number: int, quiet: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    silenced = []
    monkeypatch.setattr(command, "print_nothing_more", lambda: silenced.append(True))

    def fail() -> int:
        raise OSError(number, os.strerror(number))

    if quiet:
        assert carry_out(fail) == 1
        assert (silenced, capsys.readouterr()) == ([True], ("", ""))
    else:
        with pytest.raises(OSError, match=os.strerror(number)):
            carry_out(fail)


def test_one_that_is_stopped_ends_with_the_signals_number_and_cleans_up_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cleaned = []

    def stay() -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            cleaned.append("up")
        return 0

    assert carry_out(stay) == 128 + signal.SIGTERM
    assert cleaned == ["up"]
    assert "nothing is left running" in capsys.readouterr().err


def test_an_error_of_the_programs_own_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        carry_out(lambda: 1 // 0)
