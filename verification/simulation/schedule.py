"""One schedule: some orders, everything that may happen to them, and what came of it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from orders.aws.dynamodb import from_item
from verification.evidence import Evidence
from verification.promises import violations
from verification.simulation.cloud import DEAD_LETTERS, DEAD_NOTIFICATIONS, Cloud
from verification.simulation.faults import FaultInjector, Faults
from verification.simulation.harness import deployed
from verification.simulation.random_source import RandomSource
from verification.simulation.trace import Trace
from verification.simulation.workload import Adversary, SimulatedCustomer, SimulatedOperator
from verification.simulation.world import World

ORDERS = 20
CALM = (1200.0, 6 * 3600.0)
"""Seconds after which nothing goes wrong any more: drawn for each schedule."""
HORIZON = 4 * 86400.0
"""Seconds after which every order must have ended, whatever happened before."""
_DAY = 86400.0
_LATE_REPLAY = 26 * 3600.0
"""A replay after the payment provider has forgotten its idempotency keys."""


@dataclass(frozen=True)
class Outcome:
    seed: int
    orders: Sequence[int]
    violations: list[str]
    trace: Trace
    cloud: Cloud

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
    """Play a schedule to its end, or to the first promise that is broken.

    `only` leaves out all faults but those at the places with these short names; `faults` replaces the injector.
    """
    rng, world = RandomSource(seed), World()
    injector = FaultInjector(rng, only)
    chosen = faults(rng) if faults else injector
    trace = Trace(world)
    cloud = Cloud(world, chosen, rng, trace)
    operator = SimulatedOperator(cloud, chosen, rng, trace)
    numbers = sorted(orders)
    calm = 0.0 if faults else rng.between("calm", *CALM)

    def end_faults() -> None:
        injector.active = False
        trace.record("fault injector", "injects nothing from now on")

    def over() -> bool:
        return bool(cloud.checker.violations) or world.now > HORIZON or (world.busy == 0 and _all_closed(cloud))

    with deployed(cloud, rng):
        for number in numbers:
            SimulatedCustomer(number, cloud, chosen, rng, trace).comes()
        operator.comes(calm)
        Adversary(cloud, chosen, rng, trace).comes([str(number) for number in numbers])
        world.later(calm, end_faults)
        world.later(60, cloud.tick, for_ever=True)
        first_redrive = _DAY if rng.hits("no operator for a day", 0.5) else 360.0
        for after in (0.0, 3 * 3600.0, 7 * 3600.0):  # what is late may fail after the first redrive
            world.later(calm + first_redrive + after, partial(operator.redrives, f"redrive in the calm, {after:.0f}"))
        world.later(calm + _DAY - 1, lambda: _all_must_be_closed(cloud))
        if rng.hits("late replay", 0.2):
            world.later(_LATE_REPLAY, lambda: operator.replays("late replay"))
        world.run(over)
    found = cloud.checker.violations or violations(evidence(cloud))
    if not found and not trace.faults:
        found = [f"order {order_id} was reconciled, though nothing went wrong" for order_id in _reconciled(cloud)]
    return Outcome(seed, numbers, found, trace, cloud)


def evidence(cloud: Cloud) -> Evidence:
    orders = {str(item["orderId"]["S"]): from_item(item) for item in cloud.tables["Orders"].items.values()}
    checker = cloud.checker
    return Evidence(
        accepted=checker.accepted,
        orders=orders,
        published=checker.published,
        audit=[from_item(item) for item in cloud.tables["AuditLog"].items.values()],
        charges=checker.charges,
        messages=checker.messages,
        dead_letters=[*cloud.letters(DEAD_LETTERS), *cloud.letters(DEAD_NOTIFICATIONS)],
        forged=frozenset(checker.forged),
        rejected=frozenset(checker.rejected),
        may_repeat=checker.may_repeat(),
    )


def _all_must_be_closed(cloud: Cloud) -> None:
    """A day after the last fault the reconciler has healed every order, with or without an operator."""
    for item in cloud.tables["Orders"].items.values():
        if "dueAt" in item:
            cloud.checker.broken(f"order {item['orderId']['S']} is open a day after the last fault")


def _reconciled(cloud: Cloud) -> list[str]:
    items = cloud.tables["Orders"].items.values()
    return [item["orderId"]["S"] for item in items if item["attempt"] != {"N": "1"}]


def _all_closed(cloud: Cloud) -> bool:
    return not any("dueAt" in item for item in cloud.tables["Orders"].items.values())
