"""The proxy between the functions and AWS: microburst, which makes calls fail, and a killer of function processes.

It is a process of its own, `python -m verification.chaos.proxy …`, and ends when its standard input closes. As long as
microburst has no rules, every call passes and no process is killed.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web
from microburst.app import make_app
from microburst.core.pipeline import Microburst
from microburst.detection import detect
from microburst.forward import Upstream
from microburst.rules import RuleEngine

from local.emulator.state import LocalError, State, require_loopback
from operations.loopback import HOST
from verification.chaos.call_log import ObservedCall, call_log_of
from verification.chaos.faults import SERVICES

CALLS_PER_KILL = 250
_WORKER = re.compile(r"app/(\w+)-(\d+)")
_ORDER = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_under_way: ContextVar[dict[str, Any]] = ContextVar("_under_way")
"""The fields of ObservedCall that are known so far, of the call that this task handles."""


class Killer:
    """Kills the process behind some calls, before the call reaches AWS or after it took effect."""

    def __init__(self, rng: random.Random, emulator: Callable[[], int]) -> None:
        """`emulator` returns its process id, which is also its group's."""
        self._rng = rng
        self._emulator = emulator
        self._left = rng.randint(15, CALLS_PER_KILL // 5)  # not too late for a short run

    def chooses(self) -> str | None:
        """Return `before` or `after` if the current call is its process's last one."""
        self._left -= 1
        if self._left > 0:
            return None
        self._left = self._rng.randint(1, 2 * CALLS_PER_KILL)
        return self._rng.choice(("before", "after"))

    def kill(self, process: int) -> bool:
        """Kill a process of the emulator's, and no other: the process id comes from a header, which anybody can set."""
        with suppress(ProcessLookupError, PermissionError):
            if process != self._emulator() == os.getpgid(process):
                os.kill(process, signal.SIGKILL)
                return True
        return False


class Rules(RuleEngine):  # type: ignore[misc]
    """microburst's rules, which also record their decision for the call log."""

    def decide(self, info: Any) -> Any:
        call = _under_way.get()
        call |= {"service": info.service, "operation": info.operation, **subject(info.service, info.body)}
        decision = super().decide(info)
        if decision:
            call["rule"] = decision.rule.id
        return decision


class ObservedUpstream(Upstream):  # type: ignore[misc]
    """The emulator as microburst's upstream; the calling process may be killed before or after a call."""

    def __init__(self, base_url: str, killer: Killer, rules: Rules, **options: Any) -> None:
        super().__init__(base_url, **options)
        self._killer = killer
        self._rules = rules

    async def start(self) -> None:
        watching = aiohttp.TraceConfig()
        watching.on_request_end.append(self._answered)
        self.session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=60), auto_decompress=False, trace_configs=[watching]
        )

    def _outbound_headers(self, request: web.Request) -> dict[str, str]:
        """Keep the Host header that the caller signed: the emulator checks each signature."""
        headers: dict[str, str] = super()._outbound_headers(request)
        return {**headers, "host": request.headers["Host"]}

    async def relay(self, request: web.Request, *rest: Any, **more: Any) -> web.StreamResponse:
        call = _under_way.get()
        worker = call["process"]
        if worker and self._rules.rules:
            call["doomed"] = self._killer.chooses()
        if call.get("doomed") == "before" and self._killer.kill(worker):
            call["killed"] = "before"
            return web.Response(status=500)  # the caller is dead
        response: web.StreamResponse = await super().relay(request, *rest, **more)
        return response

    async def _answered(self, _session: Any, _context: SimpleNamespace, end: aiohttp.TraceRequestEndParams) -> None:
        """Handle AWS's response before the calling process gets it."""
        call = _under_way.get()
        call["status"] = end.response.status
        if call.get("doomed") == "after" and self._killer.kill(call["process"]):
            call["killed"] = "after"


class Proxy(Microburst):  # type: ignore[misc]
    """microburst with these rules and this upstream; writes each call that matters to the call log."""

    def __init__(self, upstream: str, killer: Killer, call_log: TextIO) -> None:
        super().__init__(upstream, resign=False)
        self.engine = Rules()
        self.upstream = ObservedUpstream(upstream, killer, self.engine, stats=self.stats)
        self._call_log = call_log

    async def handle_proxy(self, request: web.Request) -> web.StreamResponse:
        worker = _WORKER.search(request.headers.get("User-Agent", ""))
        call: dict[str, Any] = {
            "at": time.time(),
            "service": "",
            "operation": "",
            "function": worker[1] if worker else None,
            "process": int(worker[2]) if worker else None,
        }
        _under_way.set(call)
        try:
            response: web.StreamResponse = await super().handle_proxy(request)
        except ConnectionResetError:  # the caller has given up, or was killed
            response = web.Response(status=500)
        finally:
            call["seconds"] = time.time() - call["at"]
            entry = ObservedCall._make(call.get(name) for name in ObservedCall._fields)
            if entry.matters:
                self._call_log.write(json.dumps(entry._asdict()) + "\n")
        return response


def subject(service: str | None, body: bytes | None) -> Mapping[str, str]:
    """Return the subject of a call: its order, its phone number, the channel whose receipt it stores."""
    text = (body or b"").decode(errors="replace")
    if service == "sns":
        number = parse_qs(text).get("PhoneNumber")
        return {"phone": number[0]} if number else {}
    if service not in {"dynamodb", "events", "ses"}:
        return {}
    content = json.loads(text)
    if service == "events":
        content = json.loads(content["Entries"][0]["Detail"])["data"]
    elif service == "dynamodb":
        content = content.get("Key") or content.get("Item") or {}
    order = _ORDER.search(json.dumps(content.get("orderId", content)))
    found = {"order": order[0]} if order else {}
    for channel in ("email", "sms"):
        if service == "dynamodb" and re.search(rf"REMOVE #{channel}Claim", text):
            found["receipt"] = channel
    return found


async def serve(arguments: argparse.Namespace) -> None:
    for service in SERVICES:  # microburst reads its models at the first request, which takes seconds
        scope = f"AWS4-HMAC-SHA256 Credential=warm/20260101/us-east-1/{service}/aws4_request"
        detect({"Host": HOST, "Authorization": scope}, "POST", "/", {}, b"{}")
    state = State(arguments.state)
    killer = Killer(random.Random(f"kills of {arguments.seed}"), lambda: int(state.read_emulator()["pid"]))
    random.seed(f"draws of {arguments.seed}")  # microburst draws from the module
    with call_log_of(state).open("w", buffering=1) as call_log:
        runner = web.AppRunner(make_app(Proxy(arguments.upstream, killer, call_log)), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, arguments.port).start()
        await asyncio.to_thread(sys.stdin.buffer.read)  # until the parent process closes it


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m verification.chaos.proxy")
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder of the emulator's state")
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    try:
        require_loopback(arguments.upstream)
    except LocalError as error:
        sys.exit(str(error))
    asyncio.run(serve(arguments))


if __name__ == "__main__":
    main()
