"""How often the storefront's page of an order calls the API: page.mjs plays it, with the real web/follower.js.

The number of calls depends on when the order changes. That is assumed here, as docs/costs.md says.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from tools.checkout import ROOT
from verification.bench.artefact import run

STEP_MS = 1_000
"""The order's page opens; its payment, its fulfilment and its notification follow, each this much later."""
MINUTE_MS = 60_000
SOCKET_MS = 100
"""How long a WebSocket takes to open."""


class State(NamedTuple):
    """An order as the API shows it from a moment on, and the event that its page gets then."""

    order: Any
    events: Sequence[Any]
    event: Any = None


class Asked(NamedTuple):
    """The requests of one page, and how many messages it gets."""

    orders: int
    timelines: int
    tickets: int
    messages: int


def watch(states: Sequence[State], *, milliseconds: int) -> Asked:
    """Play a page that is open for this long."""
    scenario = {
        "states": [{"at": number * STEP_MS, **state._asdict()} for number, state in enumerate(states)],
        "socketOpensAfter": SOCKET_MS,
        "until": milliseconds,
    }
    script = str(ROOT / "verification" / "bench" / "page.mjs")
    asked = json.loads(run(["node", "--no-warnings", script, json.dumps(scenario)]))
    return Asked(asked["GET order"], asked["GET timeline"], asked["tickets"], asked["messages"])
