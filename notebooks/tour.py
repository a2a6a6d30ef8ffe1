"""What the notebooks use but don't teach: finding the stack, waiting, switching, drawing, grading a lab.

    stack = tour.connect()            the running stack, or a new one; from then on, plain boto3 calls it
    customer = tour.customer()        a signed-in customer: customer.get(path), customer.post(path, body)
    tour.follow(order_id)             wait until an order has ended; the order, and its rows of AuditLog
    tour.order(order_id), tour.rows_of(order_id), tour.ledger(order_id)   what is stored of an order
    tour.wait_until(condition, "…")   wait for anything else
    tour.publish(row)                 put a copy of a logged event on the bus
    tour.rules_off("fulfillment"), tour.gateway_down()   with …: keep events from a function; an outage
    tour.rights_of("fulfillment")     a boto3 session that may do what the function's role may
    tour.new_name(), tour.remove_mine()   a name for a resource of yours; remove all of them
    tour.canvas(order_id)             a live picture of an order, with buttons that cause faults
    tour.dead_letter_of(order_id)     wait for a dead letter of an order, and take it out of its queue
    tour.expect("claim", condition), tour.values(…), tour.table(rows), tour.source(function)   show results
    tour.sequence, tour.tree, tour.timeline, tour.topology   pictures, from evidence
    tour.check("1.1", result)         the verdict on a lab

STAGE=dev in the environment makes the same notebooks use a stack on AWS, in the region of serverless.yml or, with
REGION=eu-west-1, in another; AWS_PROFILE names the credentials. READER_EMAIL is the address of the customers there.
"""

import sys
from pathlib import Path


class NotSetUp(ImportError):
    """This Python lacks the notebooks' packages. Jupyter shows the message alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


_CHECKOUT = str(Path(__file__).resolve().parent.parent)
if _CHECKOUT not in sys.path:
    sys.path.insert(0, _CHECKOUT)  # the notebooks read the very code that is deployed

try:
    import boto3  # noqa: F401
    import IPython  # noqa: F401
    import ministack  # noqa: F401
except ImportError as error:
    raise NotSetUp(
        f"{error.name} is not installed in {sys.executable}: type `npm run notebooks -- --setup` in a terminal,"
        " then choose the kernel of .venv"
    ) from None

from notebooks.labs import check
from notebooks.pictures import Picture, timeline, topology
from notebooks.places import place_of
from notebooks.reader import (
    canvas,
    connect,
    customer,
    dead_letter_of,
    envelope_of,
    follow,
    gateway_down,
    ledger,
    new_name,
    order,
    publish,
    remove_mine,
    rights_of,
    rows_of,
    rules_off,
    sequence,
    tree,
    wait_until,
)
from notebooks.showing import Link, email, excerpt, expect, source, table, values
from tools.checkout import ROOT

__all__ = [
    "ROOT",
    "Link",
    "Picture",
    "canvas",
    "check",
    "connect",
    "customer",
    "dead_letter_of",
    "email",
    "envelope_of",
    "excerpt",
    "expect",
    "follow",
    "gateway_down",
    "ledger",
    "new_name",
    "order",
    "place_of",
    "publish",
    "remove_mine",
    "rights_of",
    "rows_of",
    "rules_off",
    "sequence",
    "source",
    "table",
    "timeline",
    "topology",
    "tree",
    "values",
    "wait_until",
]
