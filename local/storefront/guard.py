"""Who may ask: the storefront's own page, and no other page in the same browser.

Any web page can reach a port of this machine. A browser tells where a page comes from, in `Origin` and
`Sec-Fetch-Site`, and what it called the server, in `Host`: a page that has its own name lead to 127.0.0.1 (DNS
rebinding) comes with a foreign one.
"""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from local.storefront.problem import problem

NAMES = {"127.0.0.1", "localhost"}
GUARDED = ("/break-it", "/cognito")
"""Where a request needs no token to change something."""


class Guard:
    """Refuses with 403 whatever was not asked by this name, or by another origin's page."""

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
            return "this server has another name; open the URL that npm start printed"
        if not request.scope["path"].startswith(GUARDED):  # as it is routed, and not as it was written
            return None
        if not _comes_from(request.headers, f"http://{hosts[0]}", reads=request.method in ("GET", "HEAD")):
            return "only the storefront's own page may ask this"
        if request.method not in ("GET", "HEAD") and not _is_json(request.headers):
            return "send JSON, with its content type"
        return None


def _comes_from(headers: Headers, origin: str, *, reads: bool) -> bool:
    """Whether the page that asks is of this origin. A browser names no Origin where a page reads from its own."""
    named = headers.getlist("origin")
    site = headers.get("sec-fetch-site", "same-origin")
    return site == "same-origin" and (named == [origin] or (reads and not named))


def _is_json(headers: Headers) -> bool:
    """A form of another page can't have these content types without asking first."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type in ("application/json", "application/x-amz-json-1.1")
