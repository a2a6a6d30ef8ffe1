"""One schedule: some orders, the faults that strike them, and the outcome."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from orders.aws.dynamodb import from_item
from verification.evidence import Evidence
from verification.promises import violations
from verification.simulation.cloud import SimulatedCloud
from verification.simulation.deployment import DEAD_LETTER_QUEUE_URLS
from verification.simulation.faults import FaultInjector, Faults
from verification.simulation.harness import deployed
from verification.simulation.online_checker import LEDGER
from verification.simulation.random_source import RandomSource
from verification.simulation.trace import Trace
from verification.simulation.workload import Adversary, SimulatedCustomer, SimulatedOperator
from verification.simulation.world import World

ORDERS = 20
FAULTS_END_SECONDS = (1200.0, 6 * 3600.0)
"""The earliest and the latest end of the faults: drawn for each schedule."""
LONGEST_SECONDS = 4 * 86400.0
"""Every order must have ended by then."""
_DAY_SECONDS = 86400.0
_LATE_REPLAY_SECONDS = 26 * 3600.0
_LONGEST_DEADLINE_HOURS = 4


@dataclass(frozen=True)
class Outcome:
    seed: int
    orders: Sequence[int]
    violations: list[str]
    trace: Trace
    cloud: SimulatedCloud

    @property
    def ok(self) -> bool:
        return not self.violations


def run(
    seed: int,
    orders: Collection[int] = range(ORDERS),
    *,
    only: Collection[str] | None = None,
    faults: Callable[[RandomSource], Faults] | None = None,
) -> Outcome:
    """Play a schedule to its end, or until a promise breaks.

    With `only`, faults strike only at the places with these short names; `faults` replaces the fault injector.
    """
    rng, world = RandomSource(seed), World()
    injector = FaultInjector(rng, only)
    chosen = faults(rng) if faults else injector
    trace = Trace(world)
    cloud = SimulatedCloud(world, chosen, rng, trace)
    operator = SimulatedOperator(cloud, chosen, rng, trace)
    numbers = sorted(orders)
    faults_end = 0.0 if faults else rng.between("calm", *FAULTS_END_SECONDS)

    def end_faults() -> None:
        injector.active = False
        trace.record("fault injector", "stops")

    def over() -> bool:
        return bool(cloud.checker.violations) or world.now > LONGEST_SECONDS or (world.busy == 0 and _all_closed(cloud))

    has_deadline = not faults and rng.hits("orders have a deadline", 0.3)
    deadline = 1 + int(rng.draw("deadline") * _LONGEST_DEADLINE_HOURS) if has_deadline else 0
    cloud.checker.cancel_after = timedelta(hours=deadline) if deadline else None
    with deployed(cloud, rng, cancel_after_hours=deadline):
        for number in numbers:
            SimulatedCustomer(number, cloud, chosen, rng, trace).schedule()
        operator.schedule(until=faults_end)
        Adversary(cloud, chosen, rng, trace).schedule([str(number) for number in numbers])
        world.later(faults_end, end_faults)
        world.later(60, cloud.run_schedule, for_ever=True)
        first_redrive = _DAY_SECONDS if rng.hits("no operator for a day", 0.5) else 360.0
        for after in (0.0, 3 * 3600.0, 7 * 3600.0):  # a late event may fail after the first redrive
            name = f"redrive in the calm, {after:.0f}"
            world.later(faults_end + first_redrive + after, partial(operator.redrive_dead_letters, name))
        world.later(faults_end + _DAY_SECONDS - 1, lambda: _report_open_orders(cloud))
        if rng.hits("late replay", 0.2):
            world.later(_LATE_REPLAY_SECONDS, lambda: operator.replay_archive("late replay"))
        world.run(over)
    found = cloud.checker.violations or violations(evidence(cloud))
    if not found and not trace.faults:
        found = [f"order {order_id} was reconciled, though nothing went wrong" for order_id in _reconciled(cloud)]
    return Outcome(seed, numbers, found, trace, cloud)


def evidence(cloud: SimulatedCloud) -> Evidence:
    orders = {str(item["orderId"]["S"]): from_item(item) for item in cloud.tables["Orders"].items.values()}
    checker = cloud.checker
    return Evidence(
        accepted=checker.accepted,
        orders=orders,
        published=checker.published,
        audit=[from_item(item) for item in cloud.tables["AuditLog"].items.values()],
        ledger=[from_item(item) for item in cloud.tables[LEDGER].items.values()],
        messages=checker.messages,
        dead_letters=[event for url in DEAD_LETTER_QUEUE_URLS for event in cloud.dead_letters(url)],
        forged=frozenset(checker.forged),
        rejected=frozenset(checker.rejected),
        cancellations=checker.cancellations,
        may_repeat=checker.may_repeat(),
    )


def _report_open_orders(cloud: SimulatedCloud) -> None:
    """Report each order that the reconciler has not healed a day after the last fault, with or without an operator."""
    for item in cloud.tables["Orders"].items.values():
        if "dueAt" in item:
            cloud.checker.broken(f"order {item['orderId']['S']} is open a day after the last fault")


def _reconciled(cloud: SimulatedCloud) -> list[str]:
    items = cloud.tables["Orders"].items.values()
    return [item["orderId"]["S"] for item in items if "attempt" in item]


def _all_closed(cloud: SimulatedCloud) -> bool:
    return not any("dueAt" in item for item in cloud.tables["Orders"].items.values())
