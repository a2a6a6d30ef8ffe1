"""SES sends to addresses of 7-bit ASCII only, with the domain in Punycode; MiniStack's sends to any address."""

import json
from typing import Any

from ministack.services import ses_v2

from local.emulator.bridge.patching import replace, require


def install() -> None:
    require(ses_v2, "_json_err")
    replace(ses_v2, "handle_request", in_ascii_only)


def in_ascii_only(original: Any) -> Any:
    async def handle_request(method: str, path: str, headers: Any, body: bytes, query_params: Any) -> Any:
        fault = _fault(body) if method == "POST" and path == "/v2/email/outbound-emails" else None
        if fault:
            return ses_v2._json_err("BadRequestException", fault)
        return await original(method, path, headers, body, query_params)

    return handle_request


def _fault(body: bytes) -> str | None:
    """SES's error message for the first recipient that it refuses; None if there is none."""
    for recipients in json.loads(body).get("Destination", {}).values():
        for address in recipients:
            local_part, _, domain = address.rpartition("@")
            if not local_part.isascii():
                return "Local address contains control or whitespace"
            if not domain.isascii():
                return "Domain contains illegal character"
    return None
