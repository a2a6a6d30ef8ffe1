"""Exit codes and signals of the commands that run something on this machine."""

import errno
import sys
from collections.abc import Callable
from contextlib import suppress

from local.emulator.state import LocalError
from local.launcher.stopping import Stopped, no_longer, raise_when_asked
from operations.streams import print_error_lines, print_nothing_more, replace_unencodable


def carry_out(do: Callable[[], int]) -> int:
    """Return the exit code of `do`, which may start processes; signals end it by raising Stopped inside it.

    1 for a LocalError, which is printed on stderr, and if nobody reads the output any more; 128 and the signal's number
    if it was stopped. A bug in our own code is not hidden.
    """
    replace_unencodable()
    raise_when_asked()
    try:
        return do()
    except LocalError as error:
        print_error_lines(error)
        return 1
    except Stopped as stopped:
        with suppress(OSError):  # the terminal may be gone
            print("Stopped; nothing is left running.", file=sys.stderr)
        return 128 + stopped.number
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        print_nothing_more()
        return 1
    finally:
        no_longer()
