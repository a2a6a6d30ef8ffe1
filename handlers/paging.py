"""Pages of a list: `limit`, and `nextToken`, which is a place in the caller's own list and nobody else's."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

from handlers.http import Fault, Problem, validation_failed
from orders.aws.dynamodb import LONGEST_PARTITION_KEY, LONGEST_SORT_KEY, is_key
from orders.aws.store import Position

LARGEST_PAGE = 100  # BatchGetItem reads no more
DEFAULT_PAGE = 20


class Page(NamedTuple):
    limit: int
    start: Position | None


def page(request: Mapping[str, Any], customer_id: str) -> Page:
    """The page that the query string asks for. Raises Problem 422 for anything but a right limit and an own token."""
    asked = dict(request.get("queryStringParameters") or {})
    limit, token = asked.pop("limit", str(DEFAULT_PAGE)), asked.pop("nextToken", None)
    for name in asked:
        raise _invalid(name, "there is no such parameter; there are limit and nextToken", called="unknown parameter")
    if not re.fullmatch("[1-9][0-9]?|100", limit):
        raise _invalid("limit", f"must be a whole number from 1 to {LARGEST_PAGE}")
    return Page(int(limit), _position(token, customer_id) if token is not None else None)


def next_token(position: Position | None, customer_id: str) -> str | None:
    if position is None:
        return None
    return urlsafe_b64encode(json.dumps([customer_id, *position]).encode()).decode()


def _position(token: str, customer_id: str) -> Position:
    try:
        _, placed_at, order_id = json.loads(urlsafe_b64decode(token))
        position = Position(placed_at, order_id)
        # No more is asked of the two: an order that was put into the table by hand may be the last one of a page.
        keys = is_key(placed_at, LONGEST_SORT_KEY) and is_key(order_id, LONGEST_PARTITION_KEY)
        own = keys and next_token(position, customer_id) == token
    except (ValueError, TypeError, RecursionError):
        own = False
    if not own:
        raise _invalid("nextToken", "is not one that this list gave to you; start again without it")
    return position


def _invalid(name: str, reason: str, *, called: str | None = None) -> Problem:
    """`called`: in the detail, which is logged, in the place of a name that the client chose."""
    return validation_failed([Fault((name,), reason, called or name)])
