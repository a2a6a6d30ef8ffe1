"""Event patterns: each rule of the compiled template against every event, by event-ruler and by moto's matcher.

event-ruler is Go, made after AWS's own library of that name. It has wheels for Python 3.11 only, and not for every
machine; where it is missing, the line says so.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from orders.events import EVENTS
from tests.shop import Envelope, envelope
from verification import matching
from verification.second_opinion.compiled import Template, filled, of_type
from verification.second_opinion.opinion import Opinion

Patterns = Mapping[str, Mapping[str, Any]]


def ask(templates: Mapping[str, Template]) -> Opinion:
    if find_spec("event_ruler") is None:
        return Opinion("patterns", "", absent="event-ruler has no wheel for this Python on this machine")
    return judged(
        {f"{variant}: {name}": each for variant, t in templates.items() for name, each in patterns(t).items()}
    )


def patterns(template: Template) -> Patterns:
    rules = of_type(template, "AWS::Events::Rule")
    return {name: filled(template, rule["EventPattern"]) for name, rule in rules.items() if "EventPattern" in rule}


def judged(patterns: Patterns) -> Opinion:
    from event_ruler import event_ruler

    objections, all_events = [], list(events())
    for name, pattern in patterns.items():
        for event in all_events:
            ruled = event_ruler.test_event_pattern(json.dumps(event), json.dumps(pattern))
            if ruled != matching.matches(pattern, event):
                verb = "matches" if ruled else "does not match"
                short = {key: value for key, value in event.items() if key in ("source", "detail-type", "replay-name")}
                objections.append(f"{name} {verb} {json.dumps(short)}, and moto says otherwise")
    return Opinion("patterns", f"{len(patterns)} rules against {len(all_events)} events by event-ruler", objections)


def events() -> Iterator[Envelope]:
    """Every event; under other sources and names; replayed; with an empty, a strange and a large detail."""
    sources = {event.source for event in EVENTS.values()}
    for source in (*sorted(sources), "order-processing", "order-processing.payment.more", "somebody.else", ""):
        for name in (*EVENTS, "OrderLostEvent", "orderplacedevent", ""):
            for more in ({}, {"replay-name": "replay"}, {"replay-name": ""}):
                yield envelope(name, source, {"data": {"orderId": "1"}}, **more)
    for event in EVENTS.values():
        for detail in (
            {},
            {"source": "somebody.else", "detail-type": "x", "replay-name": "x"},
            {"data": [1, None, "é"]},
        ):
            yield envelope(event.detail_type(), event.source, detail)
