"""The live canvas: the storefront's picture as a widget on one order, lit up by tables, queues and logs.

It needs anywidget. Where widgets don't run, as on GitHub, its output is the order's sequence diagram.
"""

import atexit
import time
from collections.abc import Callable
from contextlib import closing
from threading import Event, Lock, Thread
from typing import Any

import anywidget
from botocore.exceptions import BotoCoreError, ClientError
from traitlets import Dict, List, Unicode

from local.terminal.timeline import is_over
from local.watching.view import Views
from notebooks.bundle import bundled
from notebooks.live import BUTTONS, deployed_flow, reader_of
from notebooks.reader import sequence
from operations.errors import OperatorError
from operations.stack import from_environment
from tools.checkout import ROOT

_POLL_INTERVAL_SECONDS = 0.5
_POLL_INTERVAL_ON_AWS_SECONDS = 2
_QUIET_SECONDS = 180
"""How long an ended order is still read after its last change: Lambda waits two minutes before its second retry."""

_TROUBLE = (OperatorError, BotoCoreError, ClientError)

_STYLE = (ROOT / "web" / "style.css").read_text().replace(":root", ":host")
_HOST = """
:host { display: block; padding: 1rem; background: var(--paper); color: var(--ink); }
.actions { margin: 1rem 0 0.6rem; font-size: var(--text-s); }
"""
_THEMES = """
[data-jp-theme-light="true"] .order-canvas, .vscode-light .order-canvas { color-scheme: light; }
[data-jp-theme-light="false"] .order-canvas, .vscode-dark .order-canvas { color-scheme: dark; }
"""


class Canvas(anywidget.AnyWidget):  # type: ignore[misc] # untyped
    """A live picture of one order. Assign another id to `order_id` to show that order.

    Threads do the reading and the buttons' work, each with a session of its own: the kernel is free for the next cell.
    """

    _esm = bundled(ROOT / "notebooks" / "canvas.js")
    _css = _THEMES
    stylesheet = Unicode(_STYLE + _HOST).tag(sync=True)
    buttons = Dict({name: button.label for name, button in BUTTONS.items()}).tag(sync=True)
    topology = Dict().tag(sync=True)
    order_id = Unicode()
    seen = Dict().tag(sync=True)
    busy = List().tag(sync=True)
    """The buttons whose work is not done yet."""
    said = Dict().tag(sync=True)
    """Button → its last message."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._turn, self._superseded, self._closed = Lock(), Event(), Event()
        self._threads: list[Thread] = []
        self.on_msg(lambda _, content, __: self.press(content["press"]))
        self.observe(lambda _: self._follow(), "order_id")
        atexit.register(self._end)
        self._follow()

    def press(self, name: str) -> None:
        """Run the action of the button with this name, unless it is already running."""
        with self._turn:
            if name in self.busy:
                return
            self.busy = [*self.busy, name]
            self.said = {other: text for other, text in self.said.items() if other in self.busy}
        self._start(self._act, name)
        self._follow()

    def close(self) -> None:
        self._end()
        super().close()

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and for a viewer without widgets the sequence diagram of the order as it is now."""
        widget, metadata = super()._repr_mimebundle_(**options)
        view = Views(from_environment()).of(self.order_id)
        picture = sequence(view.trail, view.order) if view else sequence([])
        return {**widget, **picture._repr_mimebundle_()}, metadata

    def _end(self) -> None:
        """End the threads; first, each button enables again what it has disabled."""
        self._closed.set()
        self._superseded.set()
        for thread in self._threads:
            thread.join()

    def _follow(self) -> None:
        """Start a thread that reads the order, and end an earlier one."""
        self._superseded.set()
        self._superseded = Event()
        self._start(self._read, self.order_id, self._superseded)

    def _read(self, order_id: str, superseded: Event) -> None:
        try:
            stack = from_environment()
            read = reader_of(stack)
            interval = _POLL_INTERVAL_SECONDS if stack.stage == "local" else _POLL_INTERVAL_ON_AWS_SECONDS
            changed_at = time.monotonic()
            while True:
                seen = read(order_id)
                if superseded.is_set():
                    return
                if seen != self.seen:
                    self.seen, changed_at = seen, time.monotonic()
                is_quiet = time.monotonic() > changed_at + _QUIET_SECONDS
                if superseded.wait(interval) or (is_quiet and is_over(seen["order"], seen["events"])):
                    return
        except _TROUBLE as error:
            self._say("read", f"✗ The picture is no longer updated: {error}")

    def _act(self, name: str) -> None:
        try:
            with closing(BUTTONS[name].press(from_environment(), self)) as sentences:
                for sentence in sentences:
                    self._say(name, sentence)
                    if self._closed.is_set():
                        return
        except _TROUBLE as error:
            self._say(name, f"✗ {error}")
        finally:
            with self._turn:
                self.busy = [other for other in self.busy if other != name]

    def _say(self, name: str, sentence: str) -> None:
        with self._turn:
            self.said = {**self.said, name: sentence}

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()


def live_canvas(order_id: str) -> Canvas:
    """The canvas of a stored order. Raises UnknownOrder."""
    stack = from_environment()
    return Canvas(order_id=order_id, seen=reader_of(stack)(order_id), topology=deployed_flow(stack))
