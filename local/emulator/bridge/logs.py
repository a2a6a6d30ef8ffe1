"""Each log line belongs to the invocation that logged it, and nobody waits for lines that never come.

A function's log and its response come through different pipes, and MiniStack can't know when the log is complete: it
waits 50 milliseconds after each invocation that logged nothing, during which the caller and the process wait, and 5
after each that did; later lines go to the next invocation. Here the process itself marks the end of each log.
"""

import queue
from typing import Any

from ministack.core import lambda_runtime

from local.emulator.bridge.patching import replace

_END = "\x1e end of an invocation's log \x1e"
_BEFORE_ALL_ELSE = f"""\
import sys
class _Responses:
    def __init__(self, responses, log):
        self._responses, self._log = responses, log
        self.flush = responses.flush
    def write(self, text):
        if not text.startswith('{{"status": "ready"'):
            self._log.write({_END + chr(10)!r})
            self._log.flush()
        self._responses.write(text)
sys.stdout = _Responses(sys.stdout, sys.stderr)
"""
_READ_TIMEOUT_SECONDS = 0.25
"""How long to wait for the log of a process that ended without an end mark: MiniStack's own limit."""


def install() -> None:
    replace(lambda_runtime, "_detect_runtime_binary", saying_where_a_log_ends)
    replace(lambda_runtime.Worker, "_drain_stderr_bounded", up_to_its_end)


def saying_where_a_log_ends(original: Any) -> Any:
    def detect_runtime_binary(runtime: str) -> tuple[str, str]:
        binary, script = original(runtime)
        return binary, _BEFORE_ALL_ELSE + script if runtime.startswith("python") else script

    return detect_runtime_binary


def up_to_its_end(original: Any) -> Any:
    def drain(worker: Any, **waits: float) -> str:
        if not worker.config.get("Runtime", "").startswith("python"):
            return str(original(worker, **waits))
        lines: list[str] = []
        while True:
            try:
                line = worker._stderr_queue.get(timeout=_READ_TIMEOUT_SECONDS)
            except queue.Empty:
                return "\n".join(lines)
            text, end, _ = line.partition(_END)
            if text or not end:
                lines.append(text)
            if end:
                return "\n".join(lines)

    return drain
