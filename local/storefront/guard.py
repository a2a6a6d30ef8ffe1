"""Only the storefront's own page may send requests, and no other page in the same browser.

Any web page can reach a port of this machine. The browser sends the page's origin in `Origin` and `Sec-Fetch-Site`, and
the name of the server in `Host`: a page whose own name resolves to 127.0.0.1 (DNS rebinding) sends a foreign `Host`.
"""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from local.storefront.problem import problem
from operations.loopback import HOST

NAMES = {HOST, "localhost"}
GUARDED = ("/break-it", "/cognito", "/sample-customer")
"""The paths where a request without a token can change something, or obtain a token."""


class Guard:
    """Refuse with 403 each request to another host name, and each from another origin's page to the guarded paths."""

    def __init__(self, app: ASGIApp, *, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in NAMES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (reason := self._refusal(Request(scope))):
            await problem(403, reason)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> str | None:
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return "this server has another name: open the URL that npm start printed"
        if not request.scope["path"].startswith(GUARDED):  # decoded, as it is routed
            return None
        if not _comes_from(request.headers, f"http://{hosts[0]}", is_read=request.method in ("GET", "HEAD")):
            return "only the storefront's own page may send this request"
        if request.method not in ("GET", "HEAD") and not _is_json(request.headers):
            return "send JSON, with its content type"
        return None


def _comes_from(headers: Headers, origin: str, *, is_read: bool) -> bool:
    """Whether the page has this origin. A browser sends no Origin when a page reads from its own."""
    named = headers.getlist("origin")
    site = headers.get("sec-fetch-site", "same-origin")
    return site == "same-origin" and (named == [origin] or (is_read and not named))


def _is_json(headers: Headers) -> bool:
    """Whether the body is JSON: a form on another page can't send these content types without a CORS preflight."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type in ("application/json", "application/x-amz-json-1.1")
