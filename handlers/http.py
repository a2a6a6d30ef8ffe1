"""HTTP as the API speaks it: JSON bodies in, JSON and RFC 9457 problems out (API Gateway's payload format 2.0)."""

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json

LARGEST_BODY = 64 * 1024  # bytes
LONGEST_REPORT = 20  # errors of one answer; a body of that size can have thousands
LONGEST_NAME = 100  # characters, of a field in that report
TITLES = {  # RFC 9110's; Python's own differ from version to version
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    500: "Internal Server Error",
}

Response = dict[str, Any]
M = TypeVar("M", bound=BaseModel)


class Problem(Exception):
    """An answer that is an error: RFC 9457, with `errors` where the input failed validation.

    As a text, which is logged, it is `logged`: in place of a detail that quotes what the client sent.
    """

    def __init__(
        self,
        status: int,
        name: str,
        detail: str,
        errors: list[dict[str, Any]] | None = None,
        *,
        logged: str | None = None,
    ) -> None:
        super().__init__(logged or detail)
        self.status = status
        self.body: dict[str, Any] = {
            "type": f"urn:order-processing:problem:{name}",
            "title": TITLES[status],
            "status": status,
            "detail": detail,
        }
        if errors is not None:
            self.body["errors"] = errors

    def response(self) -> Response:
        return _response(self.status, self.body, {"content-type": "application/problem+json"})


class Fault(NamedTuple):
    """A thing that is wrong in the input."""

    loc: tuple[int | str, ...]
    msg: str
    called: str
    """Its place in the detail, which is logged: without a name that the client chose."""


def validation_failed(faults: Sequence[Fault]) -> Problem:
    """422, with the place and the reason of the first things that are wrong."""
    first = faults[:LONGEST_REPORT]
    errors = [{"loc": [_shortened(part) for part in fault.loc], "msg": fault.msg} for fault in first]
    places = ", ".join(dict.fromkeys(fault.called for fault in first))
    return Problem(422, "validation-failed", f"not valid: {places}", errors)


def answer(status: int, body: Mapping[str, Any], **headers: str) -> Response:
    """A JSON answer; `idempotency_replayed="true"` becomes the header `idempotency-replayed`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return _response(status, body, {"content-type": "application/json", **named})


def _response(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    return {
        "statusCode": status,
        "headers": {"cache-control": "no-store", "x-content-type-options": "nosniff", **headers},
        "body": json.dumps(body, ensure_ascii=False),
    }


def json_body(request: Mapping[str, Any], model: type[M]) -> M:
    """The request's body as a model.

    Raises Problem: 415, 413, 400 where it is not JSON or repeats a key, 422 where it is not valid.
    """
    content_type = request["headers"].get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "unsupported-media-type", "send the order as JSON, with content-type: application/json")
    if "content-encoding" in request["headers"]:
        raise Problem(415, "unsupported-media-type", "send the order uncompressed, without content-encoding")
    text = request.get("body") or ""
    body = b64decode(text) if request.get("isBase64Encoded") else text.encode(errors="surrogatepass")
    if len(body) > LARGEST_BODY:
        raise Problem(413, "body-too-large", f"the body has {len(body)} bytes; at most {LARGEST_BODY} are taken")
    try:
        from_json(body)
    except ValueError as error:
        raise Problem(400, "not-json", f"the body is not JSON: {error}") from error
    # pydantic lets the last of a repeated key win. By now the text is known to be UTF-8, and not nested deeply.
    json.loads(body, object_pairs_hook=_without_repeated_keys, parse_int=str, parse_float=str)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise validation_failed([Fault(each["loc"], each["msg"], _place(each)) for each in found]) from error


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> None:
    """Raise Problem 400 for an object that has a key twice: whoever reads the first sees another order than we do."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            shown = f"the key {json.dumps(key[:LONGEST_NAME], ensure_ascii=False)} is repeated; name it once"
            raise Problem(400, "repeated-key", shown, logged="a key of the body is repeated")
        seen.add(key)


def _shortened(part: int | str) -> int | str:
    return part if isinstance(part, int) else part[:LONGEST_NAME]


def _place(error: ErrorDetails) -> str:
    """`items.0.quantity`; for a field that we don't know, where it stands."""
    *parents, name = error["loc"] or ("the body",)
    known = [*parents, "unknown field"] if error["type"] == "extra_forbidden" else [*parents, name]
    return ".".join(map(str, known))
