"""Labs on operating: a client that may repeat a request, and a proof that nothing is left."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from notebooks import own, reader
from notebooks.labs.flow import SMALL
from notebooks.labs.verdict import Verdict

_ORDERS = 12


class ConnectionLost(Exception):
    """The response never arrived: the order may or may not be stored."""


def safe_client(place: Callable[[Callable[..., Any], int], Any]) -> Verdict:
    """The client places twelve orders over a connection that loses every second response, and none twice."""
    account, calls = reader.customer(), []

    def send(headers: Mapping[str, str]) -> Any:
        calls.append(headers)
        request = Request(
            f"{reader.the_stack().api_url}/orders",
            json.dumps(SMALL).encode(),
            {"authorization": f"Bearer {account.token}", "content-type": "application/json", **headers},
        )
        with urlopen(request, timeout=60) as response:
            order = json.load(response)
        if len(calls) % 2:
            raise ConnectionLost("the connection was lost before the response came")
        return order

    for number in range(_ORDERS):
        try:
            place(send, number)
        except (ConnectionLost, HTTPError) as error:
            return Verdict(False, f"your client gave up on order {number}: {error}. Send the request again.")
    placed = len(account.get("/orders?limit=100")["orders"])
    if placed != _ORDERS:
        return Verdict(False, f"there should be {_ORDERS} orders; the stack has {placed}, after {len(calls)} requests.")
    return Verdict(True, f"{len(calls)} requests, half of whose responses were lost, placed {placed} orders.")


def what_is_left(find: Callable[[str], Mapping[str, Any]]) -> Verdict:
    """The function finds a queue and a table of a name, and finds nothing once they are removed."""
    stack = reader.the_stack()
    name = own.new_name(stack)
    stack.client("sqs").create_queue(QueueName=name)
    stack.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    found = find(name)
    own.remove(stack)
    if not found:
        return Verdict(False, f"there were a queue and a table named {name}, but your function found nothing.")
    if left := find(name):
        return Verdict(False, f"both have been removed, but your function still finds {dict(left)}.")
    return Verdict(True, "your function found both, and nothing once they were removed.")
