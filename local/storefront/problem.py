"""Errors of the storefront's server, as the API tells its own: `application/problem+json` (RFC 9457)."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

NO_ANSWER = "the embedded AWS does not answer; npm start says why"


def problem(status: int, detail: str) -> JSONResponse:
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(content, status, media_type="application/problem+json")


async def answer(_: Request, error: Exception) -> JSONResponse:
    """For Starlette: any HTTPException as a problem."""
    assert isinstance(error, HTTPException)
    response = problem(error.status_code, error.detail)
    response.headers.update(error.headers or {})
    return response


async def unexpected(_: Request, __: Exception) -> JSONResponse:
    """What nobody foresaw: nothing of the inside. Starlette raises it again, so that it gets into storefront.log."""
    return problem(500, "something went wrong here; .local/storefront.log says what")
