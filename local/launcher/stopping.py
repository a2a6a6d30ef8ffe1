"""Ctrl-C, `kill` and a closed terminal as an exception: what was started is stopped on the way out."""

import signal
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """We were asked to stop. Not an Exception: nothing on the way may take it for an error and go on."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def raise_when_asked() -> None:
    """From now on raise Stopped in the main thread; only once, so that nothing disturbs the way out."""
    for number in _SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
            signal.signal(number, _raise)


def no_longer() -> None:
    """Ignore the signals: what is left to do is short, and must be done."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _raise(number: int, _frame: FrameType | None) -> None:
    no_longer()
    raise Stopped(number)
