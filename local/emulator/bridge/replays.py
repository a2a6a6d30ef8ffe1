"""StartReplay refuses a period that ends before it starts, and an invalid name; MiniStack's then replays nothing.

MiniStack makes AWS's other checks itself.
"""

import re
from typing import Any

from ministack.services import eventbridge

from local.emulator.bridge.patching import replace, require


def install() -> None:
    require(eventbridge, "_coerce_timestamp", "error_response_json")
    replace(eventbridge, "_start_replay", checked)


def checked(original: Any) -> Any:
    def start_replay(request: dict[str, Any]) -> Any:
        fault = _fault(request)
        return eventbridge.error_response_json("ValidationException", fault, 400) if fault else original(request)

    return start_replay


def _fault(request: dict[str, Any]) -> str | None:
    if not re.fullmatch(r"[.\-_A-Za-z0-9]{1,64}", request.get("ReplayName", "")):
        return "1 validation error detected: Value at 'replayName' failed to satisfy constraint"
    start, end = (eventbridge._coerce_timestamp(request.get(name, 0)) for name in ("EventStartTime", "EventEndTime"))
    if start > end:
        return "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime."
    return None
