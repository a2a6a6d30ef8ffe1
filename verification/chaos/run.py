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
from verification.chaos.caretaking import Caretaker, scan
from verification.chaos.disruption import Disruption, disruption, shorten_timeouts
from verification.chaos.evidence import Ended, gather, phones, under_another_key
from verification.chaos.faults import SERVICES
from verification.chaos.ledger import ledger_of, read
from verification.chaos.load import Crowd, purchases
from verification.chaos.report import Run
from verification.evidence import Evidence
from verification.promises import violations
from verification.tap import NO_REPLAY, Tap, tap_of_bus

PARAMETERS = {"reconcileAfterSeconds": "8"}
HEAL_SECONDS = 120
"""Within this after the last fault everything must have ended; large runs have longer."""
_MOST_OPEN = 40  # orders; then customers wait: a long queue would not show how orders heal
_MOST_OPEN_WHILE_DOWN = 12  # orders; the emulator restarts a worker after each error, so more would take too long
_OUTAGE_BEGINS = (0.3, 0.6)  # share of the orders that are placed by then
_OUTAGE_SECONDS = (12, 16)  # long enough to use up all retries; in a small run a tenth of a second for each order
_MORE_FAULTS_SECONDS = 8  # after the last response of the API
_POLL_INTERVAL_SECONDS = 0.5
_LOG_INTERVAL_SECONDS = 10  # where the output is no terminal


class Clients:
    """A session that makes each client once. With a proxy, what it makes fail goes through it."""

    def __init__(self, session: Any, proxy_url: str | None = None) -> None:
        self._session = session
        self._proxy_url = proxy_url
        self.client = cache(self._client)

    def _client(self, service: str, endpoint_url: str, config: Any) -> Any:
        through_proxy = self._proxy_url and service in SERVICES
        url = self._proxy_url if through_proxy else endpoint_url
        return self._session.client(service, endpoint_url=url, config=config)


class Chaos:
    """One run, on a stack of its own that is there as long as the block of a call lasts."""

    def __init__(self, terminal: Terminal, state: State, ports: tuple[int, int], *, orders: int, seed: int) -> None:
        """The emulator's port and the proxy's."""
        self._terminal = terminal
        self._state = state
        self._ports = ports
        self._orders = orders
        self._seed = seed
        self._seconds: dict[str, float] = {}
        self._outage = 0.0

    @contextmanager
    def __call__(self) -> Iterator[Callable[[], int]]:
        """Let it happen; yields what checks all promises, prints the report and returns the exit code."""
        with ExitStack() as running:
            port, proxy_port = self._ports
            disturbing = disruption(self._state, seed=self._seed, port=proxy_port, emulator_port=port)
            proxy = running.enter_context(disturbing)
            description = running.enter_context(
                local_stack(self._state, port, parameters=PARAMETERS, step=self._terminal.step)
            )
            stack = described(description)
            stack = stack._replace(session=cast(Any, Clients(stack.session)))
            with self._terminal.step("Putting microburst between the functions and AWS"):
                proxy.step_between(stack)
                shorten_timeouts(stack)
            crowd = Crowd(stack, purchases(self._orders, self._seed))
            running.callback(crowd.leave)
            disturbed = stack._replace(session=cast(Any, Clients(described(description).session, proxy.url)))
            tap = running.enter_context(tap_of_bus(stack.client, stack.outputs["EventBusName"], NO_REPLAY))
            caretaker = Caretaker(stack, disturbed, tap)
            with self._timed("chaos"):
                proxy.begin()
                self._place(stack, crowd, caretaker, proxy)
                proxy.end()
            with self._timed("healing"):
                self._heal(caretaker)
            yield lambda: self._verdict(stack, crowd, caretaker, proxy, tap)

    def _place(self, stack: Stack, crowd: Crowd, caretaker: Caretaker, proxy: Disruption) -> None:
        """Place all orders, and wait a little, so that the last ones may end while faults still happen."""
        rng = Random(f"outage of {self._seed}")
        begins, lasts = rng.uniform(*_OUTAGE_BEGINS), min(self._orders / 10, rng.uniform(*_OUTAGE_SECONDS))
        purchases_in_all, down_since, responded_at = crowd.waiting, 0.0, 0.0
        crowd.start()
        with self._progress("placing orders", purchases_in_all) as show:
            while not responded_at or (
                caretaker.open_orders() and time.monotonic() < responded_at + _MORE_FAULTS_SECONDS
            ):
                if not responded_at and crowd.is_done():
                    responded_at = time.monotonic()
                share = 1 - crowd.waiting / purchases_in_all
                if not down_since and share >= begins:
                    stack.configure("paymentProcessing", PAYMENT_GATEWAY="down")
                    down_since = time.monotonic()
                if down_since and not self._outage and time.monotonic() > down_since + lasts:
                    stack.configure("paymentProcessing", PAYMENT_GATEWAY="up")
                    self._outage = time.monotonic() - down_since
                caretaker.tick(calm=False)
                still_open = len(caretaker.open_orders())
                is_down = bool(down_since and not self._outage)
                crowd.pause = still_open > (_MOST_OPEN_WHILE_DOWN if is_down else _MOST_OPEN)
                happened = proxy.happened()
                show(
                    purchases_in_all - crowd.waiting,
                    f"{still_open} open, {sum(happened.faults.values())} faults"
                    f" in {sum(happened.calls.values())} calls" + (", the payment gateway is down" if is_down else ""),
                )
                time.sleep(_POLL_INTERVAL_SECONDS)
        if not self._outage:
            stack.configure("paymentProcessing", PAYMENT_GATEWAY="up")
            self._outage = time.monotonic() - down_since if down_since else 0.0

    def _heal(self, caretaker: Caretaker) -> None:
        """Wait until nothing happens any more, or until the time is up: the verdict then says what is wrong."""
        deadline = time.monotonic() + HEAL_SECONDS + self._orders / 20
        still_open = len(caretaker.open_orders())
        with self._progress("healing", still_open) as show:
            most = still_open
            while not caretaker.is_quiet() and time.monotonic() < deadline:
                caretaker.tick(calm=True)
                still_open = len(caretaker.open_orders())
                show(most - still_open, f"{still_open} open, {sum(caretaker.redriven.values())} dead letters redriven")
                time.sleep(_POLL_INTERVAL_SECONDS)

    def _verdict(self, stack: Stack, crowd: Crowd, caretaker: Caretaker, proxy: Disruption, tap: Tap) -> int:
        run, evidence = self._result(stack, crowd, caretaker, proxy, tap)
        broken = [*crowd.answers.wrong, *under_another_key(evidence.orders), *violations(evidence)]
        return report.show(self._terminal.console, run, evidence, broken)

    def _result(
        self, stack: Stack, crowd: Crowd, caretaker: Caretaker, proxy: Disruption, tap: Tap
    ) -> tuple[Run, Evidence]:
        orders = {order["orderId"]: order for order in scan(stack, "OrdersTableName")}
        calls = read(ledger_of(self._state), phones(orders))
        timed_out = self._state.emulator_log.read_text(errors="replace").count("killing worker")
        run = Run(
            orders=self._orders,
            seed=self._seed,
            answers=crowd.answers,
            happened=proxy.happened(),
            calls=calls,
            kinds=proxy.kinds,
            redriven=caretaker.redriven,
            interrupted=caretaker.interrupted,
            timed_out=timed_out,
            outage=self._outage,
            seconds=self._seconds,
        )
        ended = Ended(stack, crowd.answers.accepted, tap.events(), calls, proxy.lost, timed_out)
        return run, gather(ended)

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
        said = time.monotonic() - _LOG_INTERVAL_SECONDS

        def say(done: int, note: str) -> None:
            nonlocal said
            if time.monotonic() - said >= _LOG_INTERVAL_SECONDS:
                console.print(f"{title}: {done} of {total}; {note}")
                said = time.monotonic()

        yield say
