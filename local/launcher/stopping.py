"""Ctrl-C, `kill` and a closed terminal as an exception, so that context managers stop everything that was started."""

import signal
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """We were asked to stop. Not an Exception: no handler of errors may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def raise_when_asked() -> None:
    """From now on raise Stopped in the main thread; only once, so that nothing disturbs the clean-up."""
    for number in _SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it on purpose
            signal.signal(number, _raise)


def no_longer() -> None:
    """Ignore the signals: the remaining clean-up is short, and must be done."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _raise(number: int, _frame: FrameType | None) -> None:
    no_longer()
    raise Stopped(number)
