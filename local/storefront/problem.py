"""Errors of the storefront's server, in the API's format: `application/problem+json` (RFC 9457)."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

NO_RESPONSE = "the embedded AWS does not respond; the terminal of npm start says why"


def problem(status: int, detail: str) -> JSONResponse:
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(content, status, media_type="application/problem+json")


async def from_exception(_: Request, error: Exception) -> JSONResponse:
    """Turn an HTTPException into a problem, for Starlette."""
    assert isinstance(error, HTTPException)
    response = problem(error.status_code, error.detail)
    response.headers.update(error.headers or {})
    return response


async def unexpected(_: Request, __: Exception) -> JSONResponse:
    """Report an unforeseen error without its details. Starlette raises it again, so that storefront.log has it."""
    return problem(500, "something went wrong here; see .local/storefront.log")
