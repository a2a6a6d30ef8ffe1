"""An event without a source, a detail type or a detail: PutEvents refuses that entry and accepts the others.

MiniStack publishes it with the value left empty. IAM evaluates a call by the sources and detail types of its
entries (conditions.py), so without this an entry with none could pass among others and reach the rules.
"""

import json
from collections.abc import Mapping
from typing import Any

from ministack.services import eventbridge

from local.emulator.bridge.patching import replace

REQUIRED = ("Source", "DetailType", "Detail")
MOST_ENTRIES = 10


def install() -> None:
    replace(eventbridge, "_put_events", refuse_incomplete)


def refuse_incomplete(original: Any) -> Any:
    def put_events(data: Mapping[str, Any], *rest: Any, **more: Any) -> Any:
        entries = data.get("Entries", [])
        missing = [next((name for name in REQUIRED if not entry.get(name)), None) for entry in entries]
        if len(entries) > MOST_ENTRIES or not any(missing):
            return original(data, *rest, **more)
        complete = [entry for entry, name in zip(entries, missing, strict=True) if name is None]
        status, headers, body = original({**data, "Entries": complete}, *rest, **more)
        accepted = json.loads(body)
        results = iter(accepted["Entries"])
        response = {
            "FailedEntryCount": accepted["FailedEntryCount"] + len(entries) - len(complete),
            "Entries": [refusal(name) if name else next(results) for name in missing],
        }
        return status, headers, json.dumps(response).encode()

    return put_events


def refusal(name: str) -> dict[str, str]:
    message = f"Parameter {name} is not valid. Reason: {name} is a required argument."
    return {"ErrorCode": "InvalidArgument", "ErrorMessage": message}
