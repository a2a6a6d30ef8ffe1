"""Starts MiniStack, bridged, with the environment that `local.emulator` gives it."""

import os
import signal
import sys
import threading

from ministack import app

from local.emulator.bridge import (
    addresses,
    archive,
    asynchronous,
    buckets,
    conditions,
    credentials,
    deletion,
    deployments,
    entries,
    execute_api,
    functions,
    keeping,
    logs,
    replays,
    sockets,
    tokens,
    usernames,
)

GAPS = (
    *(asynchronous, deletion, archive, deployments, replays, buckets, entries, addresses),
    *(credentials, conditions, tokens, usernames),
    *(functions, execute_api, sockets, logs, keeping),
)


def end_with_parent() -> None:
    """End the whole process group when standard input closes: the launcher holds its other end."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    for gap in GAPS:
        gap.install()
    if os.getpgrp() == os.getpid():  # as the launcher starts it; by hand it may share its group with a shell
        end_with_parent()
    app.main()


if __name__ == "__main__":
    main()
