"""The load: who orders what, and how customers retry when no response comes."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from threading import Lock
from typing import Any, NamedTuple

import httpx

from operations.customer import ShopAccount
from operations.stack import Stack
from orders.catalogue import PRODUCTS

CUSTOMERS = 8
ATTEMPTS = 40
_RETRY_SECONDS = 0.25  # before a customer tries again
_READ_TIMEOUT_SECONDS = 15
_CARDS = ["tok_visa"] * 5 + ["tok_mastercard"] * 2 + ["tok_declined"] * 2 + ["tok_insufficient_funds"]


class Purchase(NamedTuple):
    """What a customer wants, and does about it."""

    customer: int
    body: Mapping[str, Any]
    key: str | None
    """The Idempotency-Key. Without one nobody repeats a request: it might be a second order."""
    again: int
    """How often the request is sent again though it was answered."""


def purchases(orders: int, seed: int) -> list[Purchase]:
    """As many orders. Some are clicked twice: the same purchase then stands there twice, side by side."""
    rng, found = Random(f"orders of {seed}"), []
    customers = min(CUSTOMERS, 1 + orders // 10)
    for number in range(orders):
        skus = rng.sample(sorted(PRODUCTS), rng.randint(1, 3))
        body: dict[str, Any] = {
            "items": [{"sku": sku, "quantity": rng.randint(1, 4)} for sku in skus],
            "paymentMethod": rng.choice(_CARDS),
        }
        if rng.random() < 0.3:
            body["phone"] = f"+49151{number:08}"  # everybody has another, so that a text message shows its order
        key = f"order-{seed}-{number}" if rng.random() < 0.75 else None
        again = rng.choice([0, 0, 0, 1, 2]) if key else 0
        purchase = Purchase(rng.randrange(customers), body, key, again)
        found += [purchase] * (2 if key and rng.random() < 0.1 else 1)
    return found


@dataclass
class Answers:
    """What the API answered. Several threads write."""

    accepted: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    clicked: dict[str, float] = field(default_factory=dict)
    """By order, when its first request was sent, in seconds since 1970."""
    keys: dict[tuple[int, str], str] = field(default_factory=dict)
    requests: int = 0
    failed: int = 0
    """Requests that were answered with a 5xx, or not at all."""
    wrong: list[str] = field(default_factory=list)
    """Answers that should not be, whatever fails."""
    lock: Lock = field(default_factory=Lock)


class Crowd:
    """The customers, each signed in."""

    def __init__(self, stack: Stack, ordering: Sequence[Purchase]) -> None:
        cognito = stack.client("cognito-idp")
        self.answers = Answers()
        self.waiting = len(ordering)
        """Purchases that have not ended, for progress; also who may hold back new ones with `pause`."""
        self.pause = False
        self._ordering = ordering
        self._people = [
            ShopAccount(cognito, stack.outputs, stack.api_url, f"customer-{number}@example.com")
            for number in range(1 + max(purchase.customer for purchase in ordering))
        ]
        self._http = httpx.Client(base_url=stack.api_url, timeout=_READ_TIMEOUT_SECONDS, trust_env=False)
        self._pool = ThreadPoolExecutor(len(self._people))
        self._running: list[Future[None]] = []

    def start(self) -> None:
        self._running = [self._pool.submit(self._buy, purchase) for purchase in self._ordering]

    def is_done(self) -> bool:
        """Raises what went wrong in a thread."""
        return all(future.done() and future.result() is None for future in self._running)

    def leave(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._http.close()

    def _buy(self, purchase: Purchase) -> None:
        while self.pause:
            time.sleep(0.05)  # until the shop has caught up
        clicked = time.time()
        order = self._insist(purchase)
        with self.answers.lock:
            if order:
                order_id = str(order["orderId"])
                earlier = self.answers.clicked.get(order_id, clicked)
                self.answers.clicked[order_id] = min(earlier, clicked)
        for _ in range(purchase.again if order else 0):
            self._insist(purchase)
        with self.answers.lock:
            self.waiting -= 1

    def _insist(self, purchase: Purchase) -> Mapping[str, Any] | None:
        """Send the request until it is answered, if it has a key; the order, if there is an answer with one."""
        for _ in range(ATTEMPTS if purchase.key else 1):
            answer = self._post(purchase)
            if answer is not None and answer.status_code < 500:
                return self._taken(purchase, answer)
            with self.answers.lock:
                self.answers.failed += 1
            time.sleep(_RETRY_SECONDS)
        return None

    def _post(self, purchase: Purchase) -> httpx.Response | None:
        headers = {"authorization": f"Bearer {self._people[purchase.customer].token}"}
        if purchase.key:
            headers["idempotency-key"] = purchase.key
        with self.answers.lock:
            self.answers.requests += 1
        try:
            return self._http.post("/orders", json=purchase.body, headers=headers)
        except httpx.TransportError:
            return None

    def _taken(self, purchase: Purchase, answer: httpx.Response) -> Mapping[str, Any] | None:
        with self.answers.lock:
            if answer.status_code not in (200, 201):
                self.answers.wrong.append(f"POST /orders was answered with {answer.status_code}: {answer.text}")
                return None
            order: Mapping[str, Any] = answer.json()
            first = self.answers.accepted.setdefault(order["orderId"], order)
            if (
                purchase.key
                and self.answers.keys.setdefault((purchase.customer, purchase.key), order["orderId"])
                != (order["orderId"])
            ):
                self.answers.wrong.append(f"one Idempotency-Key led to two orders: {first} and {order}")
            return order
