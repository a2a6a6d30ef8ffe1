"""HTTP of the API: API Gateway's requests in (payload format 2.0), JSON and RFC 9457 problems out."""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json

from handlers.responses import PROBLEMS, TITLES, ErrorResponse, ProblemResponse, problem_type
from orders.observability import logger

LARGEST_BODY = 64 * 1024  # bytes
LONGEST_REPORT = 20  # errors in one response; a body of that size can have thousands
LONGEST_NAME = 100  # characters of a name in an error's `loc`

M = TypeVar("M", bound=BaseModel)


class Token(TypedDict):
    """A token that the gateway has verified; it hands every claim over as text."""

    claims: Mapping[str, str]


class Authorizer(TypedDict):
    """The result of the gateway's JWT authorizer."""

    jwt: Token


class RequestContext(TypedDict):
    """The gateway's own part of a request. A public route has no `authorizer`."""

    requestId: str
    authorizer: NotRequired[Authorizer]


class Request(TypedDict):
    """API Gateway's event for an HTTP API, payload format 2.0, as far as we use it. Headers have lower-case names."""

    routeKey: str
    headers: Mapping[str, str]
    requestContext: RequestContext
    pathParameters: NotRequired[Mapping[str, str]]
    queryStringParameters: NotRequired[Mapping[str, str]]
    body: NotRequired[str]
    isBase64Encoded: NotRequired[bool]


class GatewayResponse(TypedDict):
    """A function's response, from which API Gateway makes the HTTP response."""

    statusCode: int
    headers: dict[str, str]
    body: str


class Fault(NamedTuple):
    """One thing that is wrong in a request."""

    loc: tuple[int | str, ...]
    """Its place, such as `("items", 0, "sku")`."""
    msg: str
    logged_as: str
    """The place as `detail` has it. `detail` is logged, so names that the client chose are left out."""


class Problem(Exception):
    """An error response: a name in PROBLEMS, which gives the status, and a `detail`: what is wrong, where, what to do.

    The exception's text is logged. It is `logged` where `detail` quotes the request.
    """

    def __init__(
        self, name: str, detail: str, *, errors: Sequence[ErrorResponse] | None = None, logged: str | None = None
    ) -> None:
        super().__init__(logged or detail)
        self.status = PROBLEMS[name]
        self.body = ProblemResponse(
            type=problem_type(name),
            title=TITLES[self.status],
            status=self.status,
            detail=detail,
            errors=None if errors is None else tuple(errors),
        )

    def response(self) -> GatewayResponse:
        """The problem as `application/problem+json`."""
        return _response(self.status, self.body, "application/problem+json")


Routes = Mapping[str, Callable[[Request], GatewayResponse]]
"""API Gateway's route → its function. Each may raise Problem."""


def respond_by(routes: Routes, request: Request) -> GatewayResponse:
    """Respond to one request. An unexpected exception is logged, and the response is a 500 without details."""
    with logger.append_context_keys(correlationId=request["requestContext"]["requestId"], route=request["routeKey"]):
        try:
            response = routes[request["routeKey"]](request)
        except Problem as problem:
            logger.info("Refused: %s", problem)
            response = problem.response()
        except Exception as error:  # noqa: BLE001 # logged, and the client gets a 500 without details
            logger.exception("%s: %s", type(error).__name__, error)
            response = Problem("internal", "something went wrong on our side; try again later").response()
        return response


def validation_failed(faults: Sequence[Fault]) -> Problem:
    """422, with the place and the reason of the first LONGEST_REPORT faults."""
    first = faults[:LONGEST_REPORT]
    errors = [ErrorResponse(loc=tuple(map(_shortened, fault.loc)), msg=fault.msg) for fault in first]
    places = ", ".join(dict.fromkeys(fault.logged_as for fault in first))
    return Problem("validation-failed", f"not valid: {places}", errors=errors)


def respond(status: int, body: BaseModel, headers: Mapping[str, str] | None = None) -> GatewayResponse:
    """A JSON response, with `headers` in addition to those that every response has."""
    response = _response(status, body, "application/json")
    response["headers"].update(headers or {})
    return response


def _response(status: int, body: BaseModel, content_type: str) -> GatewayResponse:
    headers = {"content-type": content_type, "cache-control": "no-store", "x-content-type-options": "nosniff"}
    return {"statusCode": status, "headers": headers, "body": body.model_dump_json()}


def idempotency_key(request: Request) -> str | None:
    """The header Idempotency-Key; None without it. Raises Problem 400 for anything but 1 to 255 printable ASCII."""
    key = request["headers"].get("idempotency-key")
    if key is not None and not re.fullmatch(r"[ -~]{1,255}", key):
        raise Problem("bad-idempotency-key", "Idempotency-Key must be 1 to 255 printable ASCII characters")
    return key


def json_body(request: Request, model: type[M]) -> M:
    """The request's body as a model.

    Raises Problem: 415, 413, 400 where it is not JSON or repeats a key, 422 where the model does not accept it.
    """
    content_type = request["headers"].get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Problem("unsupported-media-type", "send the order as JSON, with content-type: application/json")
    if "content-encoding" in request["headers"]:
        raise Problem("unsupported-media-type", "send the order uncompressed, without content-encoding")
    text = request.get("body") or ""
    body = b64decode(text) if request.get("isBase64Encoded") else text.encode(errors="surrogatepass")
    if len(body) > LARGEST_BODY:
        raise Problem("body-too-large", f"the body has {len(body)} bytes; send at most {LARGEST_BODY}")
    try:
        from_json(body)
    except ValueError as error:
        raise Problem("not-json", f"the body is not JSON: {error}") from error
    # pydantic keeps the last of a repeated key. By now the text is known to be UTF-8, and not nested deeply.
    json.loads(body, object_pairs_hook=_without_repeated_keys, parse_int=str, parse_float=str)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise validation_failed([Fault(each["loc"], each["msg"], _place(each)) for each in found]) from error


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> None:
    """Raise Problem 400 for an object that has a key twice: a parser that keeps the first would read another order."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            shown = json.dumps(key[:LONGEST_NAME], ensure_ascii=False)
            detail = f"the key {shown} is repeated; send it once"
            raise Problem("repeated-key", detail, logged="a key of the body is repeated")
        seen.add(key)


def _shortened(part: int | str) -> int | str:
    return part if isinstance(part, int) else part[:LONGEST_NAME]


def _place(error: ErrorDetails) -> str:
    """`items.0.quantity`; for a field that no model has, the place of its object."""
    *parents, name = error["loc"] or ("the body",)
    known = [*parents, "unknown field"] if error["type"] == "extra_forbidden" else [*parents, name]
    return ".".join(map(str, known))
