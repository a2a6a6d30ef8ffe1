"""The headers of every response: those that CloudFront's response headers policy sets on AWS."""

import json

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tools.checkout import ROOT

_FILE = ROOT / "resources" / "storefront-headers.json"
_POLICIES: dict[str, str] = json.loads(_FILE.read_text())
_COGNITO_ON_AWS = " https://cognito-idp.${AWS::Region}.${AWS::URLSuffix}"
_SOCKETS_ON_AWS = " wss://${WebsocketsApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"


def headers(sockets: str = "") -> dict[str, str]:
    """The headers of a page that opens WebSockets at `sockets`, such as `ws://127.0.0.1:4566`, and nowhere else.

    Without Strict-Transport-Security, which CloudFront alone sends: there is no TLS here.
    """
    policy = _POLICIES["contentSecurityPolicy"].replace(_COGNITO_ON_AWS, "")  # here it is /cognito
    return {
        "content-security-policy": policy.replace(_SOCKETS_ON_AWS, f" {sockets}" if sockets else ""),
        "permissions-policy": _POLICIES["permissionsPolicy"],
        "cross-origin-opener-policy": _POLICIES["crossOriginOpenerPolicy"],
        "cross-origin-resource-policy": _POLICIES["crossOriginResourcePolicy"],
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
    }


class SecurityHeaders:
    """Put the headers on every response, those to HEAD and errors included."""

    def __init__(self, app: ASGIApp, *, sockets: str) -> None:
        self._app = app
        self._headers = headers(sockets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                sent.update(self._headers)
                sent.setdefault("cache-control", "no-cache")
            await send(message)

        await self._app(scope, receive, with_headers)
