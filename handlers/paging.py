"""Pages of a list: `limit`, and `nextToken`, which marks a position in the caller's own list."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

from handlers.http import Fault, Problem, Request, validation_failed
from orders.aws.dynamodb import PARTITION_KEY_MAX_BYTES, SORT_KEY_MAX_BYTES, is_key
from orders.ports import Position

LARGEST_PAGE = 100  # BatchGetItem reads no more
DEFAULT_PAGE = 20


class Page(NamedTuple):
    """At most `limit` orders, from the position `start`; None is the beginning."""

    limit: int
    start: Position | None


def page(request: Request, customer_id: str) -> Page:
    """The page that the query string asks for; DEFAULT_PAGE orders from the beginning without one.

    Raises Problem 422 for another parameter, a limit that is not 1 to LARGEST_PAGE, or a token not given to the caller.
    """
    asked = dict(request.get("queryStringParameters") or {})
    limit, token = asked.pop("limit", str(DEFAULT_PAGE)), asked.pop("nextToken", None)
    for name in asked:
        raise _invalid(name, "there is no such parameter; use limit and nextToken", logged_as="unknown parameter")
    if not re.fullmatch("[1-9][0-9]?|100", limit):
        raise _invalid("limit", f"must be a whole number from 1 to {LARGEST_PAGE}")
    return Page(int(limit), _position(token, customer_id) if token is not None else None)


def next_token(position: Position | None, customer_id: str) -> str | None:
    """The token of the page that starts at the position; None if there is no such page."""
    if position is None:
        return None
    return urlsafe_b64encode(json.dumps([customer_id, *position]).encode()).decode()


def _position(token: str, customer_id: str) -> Position:
    try:
        _, placed_at, order_id = json.loads(urlsafe_b64decode(token))
        position = Position(placed_at, order_id)
        # Any keys will do: an order that was put into the table by hand may be the last one of a page.
        keys = is_key(placed_at, SORT_KEY_MAX_BYTES) and is_key(order_id, PARTITION_KEY_MAX_BYTES)
        own = keys and next_token(position, customer_id) == token
    except (ValueError, TypeError, RecursionError):
        own = False
    if not own:
        raise _invalid("nextToken", "is not a token that this list gave you; start again without it")
    return position


def _invalid(name: str, reason: str, *, logged_as: str | None = None) -> Problem:
    """`logged_as` replaces a name that the client chose in `detail`, which is logged."""
    return validation_failed([Fault((name,), reason, logged_as or name)])
