"""What is passed on: `/api` to the HTTP API, `/cognito` to the embedded Cognito. The answer comes back as it is."""

from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from local.storefront.problem import NO_ANSWER, problem
from operations.stack import Stack

SECONDS = 30  # API Gateway's time-out
LARGEST_BODY = 10 * 2**20  # API Gateway's limit, in bytes
SIGN_IN = {
    "SignUp",
    "ConfirmSignUp",
    "ResendConfirmationCode",
    "InitiateAuth",
    "ForgotPassword",
    "ConfirmForgotPassword",
}
"""The operations of Cognito that a page needs: those that ask for no AWS credentials."""

_THERE = ("accept", "authorization", "content-type", "idempotency-key")
_BACK = ("cache-control", "content-type", "idempotency-replayed", "location", "retry-after", "www-authenticate")


class PassOn:
    """Asks the local stack for the page; one client for all requests."""

    def __init__(self) -> None:
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # one customer's would be sent for the next
        # No proxy either: these are two ports of one machine.
        self._client = httpx.AsyncClient(timeout=SECONDS, trust_env=False, cookies=no_cookies)

    async def close(self) -> None:
        await self._client.aclose()

    async def to_api(self, request: Request, stack: Stack) -> Response:
        path = request.scope["raw_path"].decode("latin-1")
        if not path.startswith("/api/") or {".", ".."} & set(request.path_params["path"].split("/")):
            raise HTTPException(404)  # written otherwise than the page does, or a way out of the API's own URLs
        query = request.scope["query_string"].decode("latin-1")
        return await self._ask(
            request, stack.api_url + path.removeprefix("/api") + ("?" + query if query else ""), _THERE
        )

    async def to_cognito(self, request: Request, stack: Stack) -> Response:
        service, _, operation = request.headers.get("x-amz-target", "").partition(".")
        if service != "AWSCognitoIdentityProviderService" or operation not in SIGN_IN:
            raise HTTPException(403, "only what signs a customer up and in can be asked here")
        assert stack.endpoint_url
        return await self._ask(request, stack.endpoint_url, ("content-type", "x-amz-target"))

    async def _ask(self, request: Request, url: str, headers: Iterable[str]) -> Response:
        there = {name: request.headers[name] for name in headers if name in request.headers}
        body = await _body(request)
        try:
            answer = await self._client.request(request.method, url, headers=there, content=body)
        except httpx.HTTPError:
            return problem(502, NO_ANSWER)
        back = {name: answer.headers[name] for name in _BACK if name in answer.headers}
        return Response(answer.content, answer.status_code, back)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, f"a body has at most {LARGEST_BODY:,} bytes")
    return bytes(body)
