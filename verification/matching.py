"""Which functions an event on the bus reaches, by moto's matcher of event patterns."""

import json
from collections.abc import Mapping
from typing import Any, cast

from moto.events.models import EventPattern

from tools import topology


def matches(pattern: Mapping[str, Any], envelope: Mapping[str, Any]) -> bool:
    """Whether a rule with this pattern matches an event, as its targets would get it."""
    return bool(EventPattern.load(json.dumps(pattern)).matches_event(cast(Any, envelope)))


def consumers(envelope: Mapping[str, Any]) -> list[str]:
    """The functions that an event reaches, a name for each rule that matches it."""
    return [function for _, pattern, function in topology.rules() if matches(pattern, envelope)]
