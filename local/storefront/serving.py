"""The storefront's server as a thread of the launcher's: it ends with the block, and with the process."""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, cast

from hypercorn.asyncio import serve
from hypercorn.config import Config

from local.emulator.ports import in_use
from local.emulator.state import LocalError, State
from local.storefront.app import storefront
from operations.loopback import HOST

_GRACE_SECONDS = 1  # for requests under way
_STOP_TIMEOUT_SECONDS = 10


@contextmanager
def served(state: State, port: int, *, sockets: str = "") -> Iterator[str]:
    """Serve for as long as the block lasts; yields the URL. Raises LocalError if the port is taken.

    `sockets`: where the page may open WebSockets, such as `ws://127.0.0.1:4566`; by default nowhere.
    """
    try:
        listening = socket.create_server((HOST, port))
    except OSError:
        raise LocalError(in_use(port)) from None
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]  # hypercorn closes it
    log = logging.FileHandler(state.folder / "storefront.log")
    config.errorlog = logging.Logger("storefront")
    config.errorlog.addHandler(log)
    config.include_server_header = False
    config.graceful_timeout = _GRACE_SECONDS
    ended, loop = asyncio.Event(), asyncio.new_event_loop()
    app = cast(Any, storefront(state, port, sockets=sockets))  # both are ASGI, each with types of its own
    serving = serve(app, config, shutdown_trigger=ended.wait)

    errors = config.errorlog
    # At the end a connected browser is cut off; that goes into the log, not into the launcher's terminal.
    loop.set_exception_handler(lambda _, context: errors.error(context["message"], exc_info=context.get("exception")))

    def run() -> None:
        with closing(loop):
            loop.run_until_complete(serving)

    thread = threading.Thread(target=run, name="storefront", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{port}/"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(_STOP_TIMEOUT_SECONDS)
        log.close()
