"""Forward `/api` to the HTTP API and `/cognito` to the embedded Cognito, and return their responses as they are."""

from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from local.storefront.problem import NO_RESPONSE, problem
from operations.stack import Stack

TIMEOUT_SECONDS = 30  # API Gateway's
LARGEST_BODY_BYTES = 10 * 2**20  # API Gateway's limit
SIGN_IN = {
    "SignUp",
    "ConfirmSignUp",
    "ResendConfirmationCode",
    "InitiateAuth",
    "ForgotPassword",
    "ConfirmForgotPassword",
}
"""The operations of Cognito that the page needs: those that need no AWS credentials."""

_REQUEST_HEADERS = ("accept", "authorization", "content-type", "idempotency-key", "origin")
_RESPONSE_HEADERS = (
    "cache-control",
    "content-type",
    "idempotency-replayed",
    "location",
    "retry-after",
    "www-authenticate",
)


class Forwarder:
    """Send the page's requests to the local stack; one client for all of them."""

    def __init__(self) -> None:
        no_cookies = CookieJar(
            DefaultCookiePolicy(allowed_domains=[])
        )  # one customer's cookies would be sent for the next customer
        # No proxy either: both ports are on this machine.
        self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False, cookies=no_cookies)

    async def close(self) -> None:
        await self._client.aclose()

    async def to_api(self, request: Request, stack: Stack) -> Response:
        path = request.scope["raw_path"].decode("latin-1")
        if not path.startswith("/api/") or {".", ".."} & set(request.path_params["path"].split("/")):
            raise HTTPException(404)  # encoded unlike the page's requests, or a path out of the API's own
        query = request.scope["query_string"].decode("latin-1")
        return await self._send(
            request, stack.api_url + path.removeprefix("/api") + ("?" + query if query else ""), _REQUEST_HEADERS
        )

    async def to_cognito(self, request: Request, stack: Stack) -> Response:
        service, _, operation = request.headers.get("x-amz-target", "").partition(".")
        if service != "AWSCognitoIdentityProviderService" or operation not in SIGN_IN:
            raise HTTPException(403, "only the operations for signing up and in are allowed here")
        assert stack.endpoint_url
        return await self._send(request, stack.endpoint_url, ("content-type", "x-amz-target"))

    async def _send(self, request: Request, url: str, headers: Iterable[str]) -> Response:
        sent = {name: request.headers[name] for name in headers if name in request.headers}
        body = await _body(request)
        try:
            response = await self._client.request(request.method, url, headers=sent, content=body)
        except httpx.HTTPError:
            return problem(502, NO_RESPONSE)
        returned = {name: response.headers[name] for name in _RESPONSE_HEADERS if name in response.headers}
        return Response(response.content, response.status_code, returned)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY_BYTES:
            raise HTTPException(413, f"a body may have at most {LARGEST_BODY_BYTES:,} bytes")
    return bytes(body)
