"""How often the storefront's page of an order asks the API: page.mjs plays it, with web/follower.js as it is.

What it asks depends on when the order changes. That is assumed here, as docs/costs.md says.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from tools.checkout import ROOT
from verification.bench.artefact import run

STEP_MS = 1_000
"""The order's page opens; its payment, its fulfilment and its notification follow, each so much later."""
MINUTE_MS = 60_000
SOCKET_MS = 100
"""How long a WebSocket takes to open."""


class State(NamedTuple):
    """What the API shows of an order from a moment on, and the event that its page hears then."""

    order: Any
    events: Sequence[Any]
    event: Any = None


class Asked(NamedTuple):
    """What one page asks for, and how many messages it gets."""

    orders: int
    timelines: int
    tickets: int
    messages: int


def watch(states: Sequence[State], *, milliseconds: int) -> Asked:
    """Play a page that is open for so long."""
    scenario = {
        "states": [{"at": number * STEP_MS, **state._asdict()} for number, state in enumerate(states)],
        "socketOpensAfter": SOCKET_MS,
        "until": milliseconds,
    }
    script = str(ROOT / "verification" / "bench" / "page.mjs")
    asked = json.loads(run(["node", "--no-warnings", script, json.dumps(scenario)]))
    return Asked(asked["GET order"], asked["GET timeline"], asked["tickets"], asked["messages"])
