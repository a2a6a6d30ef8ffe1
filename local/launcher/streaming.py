"""Everybody's orders in the terminal, while `npm start` runs."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from local.launcher.samples import calling
from local.terminal.output import Terminal
from local.terminal.stream import Stream
from local.watching.watch import watch
from operations.outage import gateway
from operations.stack import Stack

_INTERVAL_SECONDS = 1
_SHARE_OF_TIME = 2
"""On a busy stack a poll takes longer; the next one starts after this many times its duration."""

_STOP_TIMEOUT_SECONDS = 1


@contextmanager
def streamed(terminal: Terminal, stack: Stack) -> Iterator[None]:
    """Show everything that happens from now on, in a thread: the main thread must be free to end at once."""
    ended = threading.Event()
    functions = stack.client("lambda")

    def say(words: str, **data: object) -> None:
        if not ended.is_set():
            terminal.say(words, **data)

    with calling("the first poll of the stack"):
        stream = Stream(say, watch(stack))

    def run() -> None:
        complaint = ""
        while not ended.is_set():
            began = time.monotonic()
            try:
                stream.show(gateway(stack, functions))
                complaint = ""
            except (BotoCoreError, ClientError, OSError) as error:  # the stack does not respond right now, or no longer
                if str(error) != complaint:
                    say("[dim]the orders can't be followed: {error}[/]", error=error)
                complaint = str(error)
            ended.wait(max(_INTERVAL_SECONDS, _SHARE_OF_TIME * (time.monotonic() - began)))

    thread = threading.Thread(target=run, name="stream", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_STOP_TIMEOUT_SECONDS)
