"""An outage of an hour while thousands of orders arrive, and how long after its end each of them has ended."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from verification.promises import violations
from verification.simulation.cloud import SimulatedCloud
from verification.simulation.faults import FaultKind
from verification.simulation.harness import deployed
from verification.simulation.playing import in_parallel
from verification.simulation.random_source import RandomSource
from verification.simulation.schedule import evidence
from verification.simulation.trace import Trace
from verification.simulation.workload import SimulatedCustomer, SimulatedOperator
from verification.simulation.world import World

OUTAGE_SECONDS = 3600
ORDERS = 3000
_POLL_INTERVAL_SECONDS = 10
_REDRIVE_SECONDS = 60
"""When an operator redrives the dead letters, counted from the end of the outage, if the scenario says so."""
_LONGEST_SECONDS = 12 * 3600
"""When a scenario is given up, counted from its start."""


class Scenario(NamedTuple):
    """The part that is down, and the way it heals. `most_minutes`: by then every order must have ended."""

    name: str
    down: FaultKind
    is_redriven: bool
    most_minutes: int
    most_publications: int
    """How often the event that starts an order may be published."""


SCENARIOS = (
    Scenario("the bus is down", FaultKind.BUS_DOWN, is_redriven=False, most_minutes=10, most_publications=3),
    # The reconciler does not see that the gateway is down: its pauses double, up to the hour at which an order is late.
    Scenario("the gateway is down", FaultKind.GATEWAY_DOWN, is_redriven=False, most_minutes=35, most_publications=8),
    Scenario(
        "the gateway is down, then a redrive",
        FaultKind.GATEWAY_DOWN,
        is_redriven=True,
        most_minutes=10,
        most_publications=8,
    ),
)


@dataclass(frozen=True)
class Healing:
    """How a scenario ended. Minutes count from the end of the outage."""

    scenario: Scenario
    orders: int
    open_orders: dict[float, int]
    """Minutes since the end of the outage → orders that were open then."""
    publications: int
    """The most of any order's first event, or of its cancellation's."""
    violations: list[str]

    @property
    def minutes(self) -> float:
        return max(self.open_orders)

    @property
    def backlog(self) -> int:
        """The orders that were open when the outage ended."""
        return self.open_orders[0]


class _Outage:
    """The one fault of a scenario, at every place, until the outage ends."""

    def __init__(self, world: World, down: FaultKind) -> None:
        self._world = world
        self._down = down

    def at(self, _place: str, kinds: Collection[FaultKind]) -> FaultKind | None:
        return self._down if self._down in kinds and self._world.now < OUTAGE_SECONDS else None


def heal(scenario: Scenario, *, orders: int = ORDERS, seed: int = 0) -> Healing:
    """Play a scenario until every order has ended."""
    rng, world = RandomSource(seed), World()
    trace, faults = Trace(world), _Outage(world, scenario.down)
    cloud = SimulatedCloud(world, faults, rng, trace)
    open_orders: dict[float, int] = {}

    def poll() -> None:
        number = sum("dueAt" in item for item in cloud.tables["Orders"].items.values())
        open_orders[round((world.now - OUTAGE_SECONDS) / 60, 2)] = number
        if number:
            world.later(_POLL_INTERVAL_SECONDS, poll, for_ever=True)

    def over() -> bool:
        has_healed = bool(open_orders) and not min(open_orders.values()) and not world.busy
        return bool(cloud.checker.violations) or has_healed or world.now > _LONGEST_SECONDS

    with deployed(cloud, rng):
        for number in range(orders):
            SimulatedCustomer(number, cloud, faults, rng, trace).schedule(within=OUTAGE_SECONDS)
        world.later(60, cloud.run_schedule, for_ever=True)
        world.later(OUTAGE_SECONDS, poll, for_ever=True)
        operator = SimulatedOperator(cloud, faults, rng, trace)
        if scenario.is_redriven:
            world.later(OUTAGE_SECONDS + _REDRIVE_SECONDS, partial(operator.redrive_dead_letters, "redrive"))
        world.run(over)
        operator.redrive_dead_letters("redrive in the end")  # it has no effect any more, and must do no harm
        world.run(lambda: not world.busy)
    found = cloud.checker.violations or violations(evidence(cloud))
    publications = _publications(cloud)
    healing = Healing(scenario, orders, open_orders, publications, found)
    if healing.minutes > scenario.most_minutes:
        found.append(f"{healing.minutes:.0f} minutes went by until every order had ended")
    if publications > scenario.most_publications:
        found.append(f"an order was published {publications} times")
    return healing


def play(jobs: int) -> Iterator[Healing]:
    """Play all scenarios, in this many processes."""
    yield from in_parallel(heal, SCENARIOS, jobs)


def _publications(cloud: SimulatedCloud) -> int:
    """How often the first event of an order, or of its cancellation, was published at most."""
    own = ("OrderPlacedEvent", "OrderCancelledEvent")
    published = [each for each in cloud.checker.published if each["detail-type"] in own]
    return max(Counter(event["detail"]["metadata"]["eventId"] for event in published).values())
