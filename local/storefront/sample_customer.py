"""Sign in as the sample customer of `npm start` without a password, on this machine only.

Only the storefront's own page may ask (see `guard.py`). The launcher keeps her ID token in `.local/token`: it writes it
after the sample orders, renews it, and deletes it when it ends.
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.emulator.state import State

EMAIL = "ada@example.com"
PATH = "/sample-customer"


def described(state: State) -> dict[str, str] | None:
    """Her entry in `config.json`: her name and the path to sign in; None if `npm start` has not signed her up."""
    return {"name": EMAIL.partition("@")[0].title(), "url": PATH} if state.token.exists() else None


async def sign_in(state: State, _: Request) -> Response:
    """Return her ID token."""
    try:
        token = state.token.read_text()
    except FileNotFoundError:
        raise HTTPException(404, "this stack has no sample customer; npm start signs one up") from None
    return JSONResponse({"idToken": token}, headers={"cache-control": "no-store"})
