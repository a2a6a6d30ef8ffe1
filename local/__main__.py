"""`npm start`: the whole system on this machine, with sample orders to look at. What it shows is in `local.start`.

Exit codes: 0 when all went well, also when it was stopped while it stayed; 1 when something did not, with one line on
stderr; 128 and the signal's number when it was stopped before it was ready.
"""

import argparse
import errno
import os
import sys
from contextlib import suppress

from local.emulator.state import LocalError
from local.launcher.stopping import Stopped, no_longer, raise_when_asked
from operations.streams import complain_in_lines, prepare, print_nothing_more


def main() -> int:
    prepare()
    raise_when_asked()
    try:
        arguments = _parser().parse_args()
        port = _port(arguments.port)
        for name in ("no_proxy", "NO_PROXY"):  # what we start is on this machine, whatever way out the user has
            os.environ[name] = f"127.0.0.1,{os.environ.get(name, '')}"
        from local.launcher.start import start  # takes a while: only now, when Ctrl-C is no traceback any more

        return start(port, once=arguments.once)
    except LocalError as error:
        complain_in_lines(error)
        return 1
    except Stopped as stopped:
        with suppress(OSError):  # the terminal may be gone
            print("Stopped before it was ready; nothing is left running.", file=sys.stderr)
        return 128 + stopped.number
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        print_nothing_more()
        return 1
    finally:
        no_longer()


def _port(text: str) -> int:
    """The emulator's port; the next one is the storefront's. Raises LocalError."""
    if not (text.isdecimal() and 1024 <= int(text) <= 65534):
        raise LocalError(f"--port takes a number from 1024 to 65534, not {text}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="npm start --", description="Run the whole system on this machine.")
    parser.add_argument("--once", action="store_true", help="stop when the sample orders have ended")
    parser.add_argument("--port", default="4566", metavar="N", help="port of the embedded AWS; default: 4566")
    return parser


if __name__ == "__main__":
    sys.exit(main())
