"""One chaos run, from the first order to the verdict."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from random import Random
from typing import Any, cast

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from local.emulator.state import State
from local.launcher.running import stack as local_stack
from local.terminal.output import Terminal
from operations.stack import Stack, described
from verification.chaos import report
from verification.chaos.call_log import call_log_of, read_calls
from verification.chaos.evidence import FinishedRun, gather, phones
from verification.chaos.fault_proxy import FaultProxy, running_proxy, shorten_timeouts
from verification.chaos.faults import SERVICES
from verification.chaos.load import Customers, purchases
from verification.chaos.recovery import Recovery, scan
from verification.chaos.report import Run
from verification.evidence import Evidence
from verification.promises import violations
from verification.tap import NO_REPLAY, Tap, tap_of_bus

_PARAMETERS = {"reconcileAfterSeconds": "8"}
_HEAL_SECONDS = 120
"""How long after the last fault everything must have ended; large runs have longer."""
_MOST_OPEN = 40  # orders; then customers wait: a long queue would not show how orders heal
_MOST_OPEN_WHILE_DOWN = 12  # orders; the emulator restarts a worker after each error, so more would take too long
_OUTAGE_BEGINS = (0.3, 0.6)  # share of the orders that are placed by then
_OUTAGE_SECONDS = (12, 16)  # long enough to use up all retries; in a small run a tenth of a second for each order
_MORE_FAULTS_SECONDS = 8  # after the last response of the API
_POLL_INTERVAL_SECONDS = 0.5
_LOG_INTERVAL_SECONDS = 10  # where the output is no terminal


class CachedSession:
    """A session that creates each client once; with a proxy, for the services that the proxy makes fail, through it."""

    def __init__(self, session: Any, proxy_url: str | None = None) -> None:
        self._session = session
        self._proxy_url = proxy_url
        self.client = cache(self._client)

    def _client(self, service: str, endpoint_url: str, config: Any) -> Any:
        through_proxy = self._proxy_url and service in SERVICES
        url = self._proxy_url if through_proxy else endpoint_url
        return self._session.client(service, endpoint_url=url, config=config)


class Chaos:
    """One run, on a stack of its own that exists within the block of a call."""

    def __init__(self, terminal: Terminal, state: State, ports: tuple[int, int], *, orders: int, seed: int) -> None:
        """`ports`: the emulator's and the proxy's."""
        self._terminal = terminal
        self._state = state
        self._ports = ports
        self._orders = orders
        self._seed = seed
        self._seconds: dict[str, float] = {}
        self._outage_seconds = 0.0

    @contextmanager
    def __call__(self) -> Iterator[Callable[[], int]]:
        """Run it; yields a function that checks all promises, prints the report and returns the exit code."""
        with ExitStack() as running:
            port, proxy_port = self._ports
            starting = running_proxy(self._state, seed=self._seed, port=proxy_port, emulator_port=port)
            proxy = running.enter_context(starting)
            description = running.enter_context(
                local_stack(self._state, port, parameters=_PARAMETERS, step=self._terminal.step)
            )
            stack = described(description)
            stack = stack._replace(session=cast(Any, CachedSession(stack.session)))
            with self._terminal.step("Putting microburst between the functions and AWS"):
                proxy.route_functions(stack)
                shorten_timeouts(stack)
            customers = Customers(stack, purchases(self._orders, self._seed))
            running.callback(customers.close)
            disturbed = stack._replace(session=cast(Any, CachedSession(described(description).session, proxy.url)))
            tap = running.enter_context(tap_of_bus(stack.client, stack.outputs["EventBusName"], NO_REPLAY))
            recovery = Recovery(stack, disturbed, tap)
            with self._timed("chaos"):
                proxy.start_faults()
                self._place(stack, customers, recovery, proxy)
                proxy.stop_faults()
            with self._timed("healing"):
                self._heal(recovery)
            yield lambda: self._verdict(stack, customers, recovery, proxy, tap)

    def _place(self, stack: Stack, customers: Customers, recovery: Recovery, proxy: FaultProxy) -> None:
        """Place all orders, and wait a little, so that the last ones can end while faults still happen."""
        rng = Random(f"outage of {self._seed}")
        begins, lasts = rng.uniform(*_OUTAGE_BEGINS), min(self._orders / 10, rng.uniform(*_OUTAGE_SECONDS))
        total, down_since, responded_at = customers.waiting, 0.0, 0.0
        customers.start()
        with self._progress("placing orders", total) as show:
            while not responded_at or (
                recovery.open_orders() and time.monotonic() < responded_at + _MORE_FAULTS_SECONDS
            ):
                if not responded_at and customers.is_done():
                    responded_at = time.monotonic()
                share = 1 - customers.waiting / total
                if not down_since and share >= begins:
                    stack.configure("paymentProcessing", PAYMENT_GATEWAY="down")
                    down_since = time.monotonic()
                if down_since and not self._outage_seconds and time.monotonic() > down_since + lasts:
                    stack.configure("paymentProcessing", PAYMENT_GATEWAY="up")
                    self._outage_seconds = time.monotonic() - down_since
                recovery.tick(faults_ended=False)
                still_open = len(recovery.open_orders())
                is_down = bool(down_since and not self._outage_seconds)
                customers.pause = still_open > (_MOST_OPEN_WHILE_DOWN if is_down else _MOST_OPEN)
                statistics = proxy.statistics()
                show(
                    total - customers.waiting,
                    f"{still_open} open, {sum(statistics.faults.values())} faults"
                    f" in {sum(statistics.calls.values())} calls"
                    + (", the payment gateway is down" if is_down else ""),
                )
                time.sleep(_POLL_INTERVAL_SECONDS)
        if not self._outage_seconds:
            stack.configure("paymentProcessing", PAYMENT_GATEWAY="up")
            self._outage_seconds = time.monotonic() - down_since if down_since else 0.0

    def _heal(self, recovery: Recovery) -> None:
        """Wait until everything has ended, or until the time is up: the verdict then says what is wrong."""
        deadline = time.monotonic() + _HEAL_SECONDS + self._orders / 20
        still_open = len(recovery.open_orders())
        with self._progress("healing", still_open) as show:
            most = still_open
            while not recovery.has_ended() and time.monotonic() < deadline:
                recovery.tick(faults_ended=True)
                still_open = len(recovery.open_orders())
                show(most - still_open, f"{still_open} open, {sum(recovery.redriven.values())} dead letters redriven")
                time.sleep(_POLL_INTERVAL_SECONDS)

    def _verdict(self, stack: Stack, customers: Customers, recovery: Recovery, proxy: FaultProxy, tap: Tap) -> int:
        run, evidence = self._result(stack, customers, recovery, proxy, tap)
        broken = [*customers.responses.wrong, *violations(evidence)]
        return report.show(self._terminal.console, run, evidence, broken)

    def _result(
        self, stack: Stack, customers: Customers, recovery: Recovery, proxy: FaultProxy, tap: Tap
    ) -> tuple[Run, Evidence]:
        orders = {order["orderId"]: order for order in scan(stack, "OrdersTableName")}
        calls = read_calls(call_log_of(self._state), phones(orders))
        timed_out = self._state.emulator_log.read_text(errors="replace").count("killing worker")
        run = Run(
            orders=self._orders,
            seed=self._seed,
            responses=customers.responses,
            statistics=proxy.statistics(),
            calls=calls,
            kinds=proxy.kinds,
            redriven=recovery.redriven,
            interrupted=recovery.interrupted,
            timed_out=timed_out,
            outage_seconds=self._outage_seconds,
            seconds=self._seconds,
        )
        responses = customers.responses
        finished = FinishedRun(
            stack, responses.accepted, responses.cancellations, tap.events(), calls, proxy.loses_response, timed_out
        )
        return run, gather(finished)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - started

    @contextmanager
    def _progress(self, title: str, total: int) -> Iterator[Callable[[int, str], None]]:
        """A progress bar on a terminal, a line now and then elsewhere."""
        console = self._terminal.console
        if self._terminal.moves:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            with Progress(*columns, TextColumn("{task.fields[note]}", style="dim"), console=console) as bar:
                task = bar.add_task(title, total=total, note="")
                yield lambda done, note: bar.update(task, completed=done, note=note)
            return
        logged_at = time.monotonic() - _LOG_INTERVAL_SECONDS

        def log(done: int, note: str) -> None:
            nonlocal logged_at
            if time.monotonic() - logged_at >= _LOG_INTERVAL_SECONDS:
                console.print(f"{title}: {done} of {total}; {note}")
                logged_at = time.monotonic()

        yield log
