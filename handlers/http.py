"""HTTP as the API speaks it: JSON bodies in, JSON and RFC 9457 problems out (API Gateway's payload format 2.0)."""

import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

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
    """An answer that is an error: RFC 9457, with `errors` where the input failed validation."""

    def __init__(self, status: int, name: str, detail: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(detail)
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
    """The request's body as a model. Raises Problem: 415, 413, 400 where it is not JSON, 422 where it is not valid."""
    content_type = request["headers"].get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "unsupported-media-type", "send the order as JSON, with content-type: application/json")
    text = request.get("body") or ""
    body = b64decode(text) if request.get("isBase64Encoded") else text.encode(errors="surrogatepass")
    if len(body) > LARGEST_BODY:
        raise Problem(413, "body-too-large", f"the body has {len(body)} bytes; at most {LARGEST_BODY} are taken")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if any(each["type"] == "json_invalid" for each in error.errors()):
            raise Problem(400, "not-json", f"the body is not JSON: {error.errors()[0]['ctx']['error']}") from error
        raise _invalid(error) from error


def _invalid(error: ValidationError) -> Problem:
    """422, with the place and the reason of the first things that are wrong.

    The detail, which is logged, names the fields that we know and no other: what is in a body is the client's to know.
    """
    found = error.errors(include_url=False, include_input=False)[:LONGEST_REPORT]
    errors = [{"loc": [_shortened(part) for part in each["loc"]], "msg": each["msg"]} for each in found]
    places = ", ".join(dict.fromkeys(map(_place, found)))
    return Problem(422, "validation-failed", f"not valid: {places}", errors)


def _shortened(part: int | str) -> int | str:
    return part if isinstance(part, int) else part[:LONGEST_NAME]


def _place(error: ErrorDetails) -> str:
    """`items.0.quantity`; for a field that we don't know, where it stands."""
    *parents, name = error["loc"] or ("the body",)
    known = [*parents, "unknown field"] if error["type"] == "extra_forbidden" else [*parents, name]
    return ".".join(map(str, known))
