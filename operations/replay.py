"""Replay of the event archive: every event of a span of time is put on the bus again, marked with `replay-name`.

Consumers bear it: what is finished starts nothing, and the audit log does not log it a second time. On AWS the archive
takes up to ten minutes to hold an event, and a replay keeps no order.
"""

from datetime import datetime
from uuid import uuid4

from operations.stack import Stack


def replay(stack: Stack, start: datetime, end: datetime) -> str:
    """Start a replay of what was archived from `start` to `end`, and return its name."""
    events = stack.client("events")
    bus = events.describe_event_bus(Name=stack.outputs["EventBusName"])["Arn"]
    archive = bus.replace(":event-bus/", ":archive/").rpartition("/")[0] + "/" + stack.outputs["EventArchiveName"]
    name = f"replay-{uuid4()}"
    events.start_replay(
        ReplayName=name, EventSourceArn=archive, EventStartTime=start, EventEndTime=end, Destination={"Arn": bus}
    )
    return name
