"""A run, from the click of the first customer to the verdict."""

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
from verification.chaos.disruption import Disruption, disruption, hurry
from verification.chaos.evidence import Ended, gather, phones, under_another_key
from verification.chaos.faults import SERVICES
from verification.chaos.ledger import ledger_of, read
from verification.chaos.load import Crowd, purchases
from verification.chaos.report import Run
from verification.evidence import Evidence
from verification.promises import violations

PARAMETERS = {"reconcileAfterSeconds": "8"}
HEAL_SECONDS = 120
"""After the last fault everything must have ended within this, and longer for many orders."""
_MOST_OPEN = 40  # orders; customers then wait, since what queues up does not show how it heals
_MOST_OPEN_WHILE_DOWN = 12  # the emulator restarts a worker after each error: more could not use up their retries
_OUTAGE_BEGINS = (0.3, 0.6)  # when this share of the orders is placed
_OUTAGE_LASTS = (12, 16)  # seconds, so that retries are used up; and a tenth of one for each order, if that is less
_LINGER = 8  # seconds for which the faults go on when everybody has an answer
_LOOK = 0.5  # seconds between two looks
_SAY = 10  # seconds between two lines where nothing can move


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
                hurry(stack)
            crowd = Crowd(stack, purchases(self._orders, self._seed))
            running.callback(crowd.leave)
            caretaker = Caretaker(
                stack, stack._replace(session=cast(Any, Clients(described(description).session, proxy.url)))
            )
            with self._timed("chaos"):
                proxy.begin()
                self._place(stack, crowd, caretaker, proxy)
                proxy.end()
            with self._timed("healing"):
                self._heal(caretaker)
            yield lambda: self._verdict(stack, crowd, caretaker, proxy)

    def _place(self, stack: Stack, crowd: Crowd, caretaker: Caretaker, proxy: Disruption) -> None:
        """Until all customers have their answers, and the last orders had their chance to end amid the faults."""
        rng = Random(f"outage of {self._seed}")
        begins, lasts = rng.uniform(*_OUTAGE_BEGINS), min(self._orders / 10, rng.uniform(*_OUTAGE_LASTS))
        purchases_in_all, down_since, answered_at = crowd.waiting, 0.0, 0.0
        crowd.start()
        with self._progress("placing orders", purchases_in_all) as show:
            while not answered_at or (caretaker.open_orders() and time.monotonic() < answered_at + _LINGER):
                if not answered_at and crowd.is_done():
                    answered_at = time.monotonic()
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
                time.sleep(_LOOK)
        if not self._outage:
            stack.configure("paymentProcessing", PAYMENT_GATEWAY="up")
            self._outage = time.monotonic() - down_since if down_since else 0.0

    def _heal(self, caretaker: Caretaker) -> None:
        """Until nothing moves any more, or the time is up: the verdict then says what is wrong."""
        deadline = time.monotonic() + HEAL_SECONDS + self._orders / 20
        still_open = len(caretaker.open_orders())
        with self._progress("healing", still_open) as show:
            most = still_open
            while not caretaker.is_quiet() and time.monotonic() < deadline:
                caretaker.tick(calm=True)
                still_open = len(caretaker.open_orders())
                show(most - still_open, f"{still_open} open, {sum(caretaker.redriven.values())} dead letters redriven")
                time.sleep(_LOOK)

    def _verdict(self, stack: Stack, crowd: Crowd, caretaker: Caretaker, proxy: Disruption) -> int:
        run, evidence = self._result(stack, crowd, caretaker, proxy)
        broken = [*crowd.answers.wrong, *under_another_key(evidence.orders), *violations(evidence)]
        return report.show(self._terminal.console, run, evidence, broken)

    def _result(self, stack: Stack, crowd: Crowd, caretaker: Caretaker, proxy: Disruption) -> tuple[Run, Evidence]:
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
        ended = Ended(stack, crowd.answers.accepted, caretaker.tap.published, calls, proxy.lost, timed_out)
        return run, gather(ended)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - started

    @contextmanager
    def _progress(self, title: str, total: int) -> Iterator[Callable[[int, str], None]]:
        """A bar where it can move, a line now and then elsewhere."""
        console = self._terminal.console
        if self._terminal.moves:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            with Progress(*columns, TextColumn("{task.fields[note]}", style="dim"), console=console) as bar:
                task = bar.add_task(title, total=total, note="")
                yield lambda done, note: bar.update(task, completed=done, note=note)
            return
        said = time.monotonic() - _SAY

        def say(done: int, note: str) -> None:
            nonlocal said
            if time.monotonic() - said >= _SAY:
                console.print(f"{title}: {done} of {total}; {note}")
                said = time.monotonic()

        yield say
