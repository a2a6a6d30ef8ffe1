"""How a command ends that runs something on this machine."""

import sys
from collections.abc import Callable

from local.emulator.state import LocalError
from local.launcher.stopping import Stopped, no_longer, raise_when_asked
from operations.streams import complain_in_lines, prepare


def carry_out(do: Callable[[], int]) -> int:
    """The exit code: what `do` returns; 1, with one line on stderr, for a LocalError; 128 and the signal's number."""
    prepare()
    raise_when_asked()
    try:
        return do()
    except LocalError as error:
        complain_in_lines(error)
        return 1
    except Stopped as stopped:
        print("Stopped; nothing is left running.", file=sys.stderr)
        return 128 + stopped.number
    finally:
        no_longer()
