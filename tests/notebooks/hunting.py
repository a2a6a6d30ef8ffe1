"""A hunt whose bug is known."""

from itertools import count

from notebooks import bug_hunt
from notebooks.bug_hunt.cases import Case, chosen
from notebooks.bug_hunt.evidence import KINDS, gather, line_of_evidence
from notebooks.bug_hunt.traffic import LEVELS, Shop
from operations.stack import Stack


def hunt_for(case: Case) -> bug_hunt.Hunt:
    """Deploy the case's bug, and let the level's traffic run."""
    hunt = bug_hunt.start(case.level, seed_of(case))
    hunt.traffic()
    return hunt


def seed_of(case: Case) -> int:
    """The first seed that chooses the case."""
    return next(seed for seed in count() if chosen(case.level, seed) is case)


def faults_after_traffic(stack: Stack, level: int) -> dict[str, str]:
    """Let the level's traffic run on the code that is deployed: each kind of fault that shows, with its evidence."""
    shop = Shop(stack)
    with shop.nothing_reconciled():
        orders = LEVELS[level](shop)
        evidence = list(gather(stack, orders.values()))
    return {kind: line for kind in KINDS if (line := line_of_evidence(kind, evidence))}
