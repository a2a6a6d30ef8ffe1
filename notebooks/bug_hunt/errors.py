"""The errors of a hunt."""

from operations.errors import OperatorError


class HuntError(OperatorError):
    """The hunt can't do that now; the message says what to do. Jupyter shows it alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class NotOnThisMachine(HuntError):
    """The stack is on AWS, where no bug is deployed."""
