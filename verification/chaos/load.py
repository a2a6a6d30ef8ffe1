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
MOST_ATTEMPTS = 40
_RETRY_SECONDS = 0.25  # before a customer tries again
_READ_TIMEOUT_SECONDS = 15
_PAUSE_INTERVAL_SECONDS = 0.05
_CANCELLED_SHARE = 0.3
_CANCEL_AFTER_SECONDS = (0.0, 0.3)
_LOOKS, _LOOK_INTERVAL_SECONDS = 60, 0.02
_CARDS = ["tok_visa"] * 5 + ["tok_mastercard"] * 2 + ["tok_declined"] * 2 + ["tok_insufficient_funds"]


class Purchase(NamedTuple):
    """One order of a customer, and how the customer retries."""

    customer: int
    body: Mapping[str, Any]
    key: str | None
    """The Idempotency-Key. A customer without one doesn't retry, since that might make a second order."""
    again: int
    """How often the request is sent again after its response."""
    cancel_after: float | None
    """How many seconds after the response the customer cancels the order; None for never."""
    once_charged: bool
    """Whether the customer then waits for the charge: right after it, a cancellation needs a refund."""


def purchases(orders: int, seed: int) -> list[Purchase]:
    """Return a purchase for each order; a double click is the same purchase twice in succession."""
    rng, found = Random(f"orders of {seed}"), []
    customers = min(CUSTOMERS, 1 + orders // 10)
    for number in range(orders):
        skus = rng.sample(sorted(PRODUCTS), rng.randint(1, 3))
        body: dict[str, Any] = {
            "items": [{"sku": sku, "quantity": rng.randint(1, 4)} for sku in skus],
            "paymentMethod": rng.choice(_CARDS),
        }
        if rng.random() < 0.3:
            body["phone"] = f"+49151{number:08}"  # each order has its own, so that a text message shows its order
        key = f"order-{seed}-{number}" if rng.random() < 0.75 else None
        again = rng.choice([0, 0, 0, 1, 2]) if key else 0
        cancel_after = rng.uniform(*_CANCEL_AFTER_SECONDS) if rng.random() < _CANCELLED_SHARE else None
        once_charged = rng.random() < 0.5
        purchase = Purchase(rng.randrange(customers), body, key, again, cancel_after, once_charged)
        found += [purchase] * (2 if key and rng.random() < 0.1 else 1)
    return found


@dataclass
class Responses:
    """The API's responses. Several threads write them."""

    accepted: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    requested_at: dict[str, float] = field(default_factory=dict)
    """Order id → when its first request was sent, in seconds since 1970."""
    cancellations: dict[str, set[int]] = field(default_factory=dict)
    """Order id → the statuses of the responses to its cancellations."""
    keys: dict[tuple[int, str], str] = field(default_factory=dict)
    requests: int = 0
    failed: int = 0
    """Requests whose response was a 5xx, or that had none."""
    wrong: list[str] = field(default_factory=list)
    """Responses that are wrong whatever faults strike."""
    lock: Lock = field(default_factory=Lock)


class Customers:
    """The customers, each signed in."""

    def __init__(self, stack: Stack, purchases: Sequence[Purchase]) -> None:
        cognito = stack.client("cognito-idp")
        self.responses = Responses()
        self.waiting = len(purchases)
        """The number of purchases that have not ended."""
        self.pause = False
        """Whether new purchases wait."""
        self._purchases = purchases
        self._accounts = [
            ShopAccount(cognito, stack.outputs, stack.api_url, f"customer-{number}@example.com")
            for number in range(1 + max(purchase.customer for purchase in purchases))
        ]
        self._http = httpx.Client(base_url=stack.api_url, timeout=_READ_TIMEOUT_SECONDS, trust_env=False)
        self._pool = ThreadPoolExecutor(len(self._accounts))
        self._running: list[Future[None]] = []

    def start(self) -> None:
        self._running = [self._pool.submit(self._buy, purchase) for purchase in self._purchases]

    def is_done(self) -> bool:
        """Whether every purchase has ended. Raises the error of a thread that failed."""
        return all(future.done() and future.result() is None for future in self._running)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._http.close()

    def _buy(self, purchase: Purchase) -> None:
        while self.pause:
            time.sleep(_PAUSE_INTERVAL_SECONDS)
        requested_at = time.time()
        order = self._order(purchase)
        with self.responses.lock:
            if order:
                order_id = str(order["orderId"])
                earlier = self.responses.requested_at.get(order_id, requested_at)
                self.responses.requested_at[order_id] = min(earlier, requested_at)
        if order and purchase.cancel_after is not None:
            time.sleep(purchase.cancel_after)
            if purchase.once_charged:
                self._see_charge(purchase, str(order["orderId"]))
            self._cancel(purchase, str(order["orderId"]))
        for _ in range(purchase.again if order else 0):
            self._order(purchase)
        with self.responses.lock:
            self.waiting -= 1

    def _order(self, purchase: Purchase) -> Mapping[str, Any] | None:
        """Send the request, with a key until there is a response; return the order, if the response has one."""
        for _ in range(MOST_ATTEMPTS if purchase.key else 1):
            response = self._post(purchase)
            if response is not None and response.status_code < 500:
                return self._checked(purchase, response)
            with self.responses.lock:
                self.responses.failed += 1
            time.sleep(_RETRY_SECONDS)
        return None

    def _see_charge(self, purchase: Purchase, order_id: str) -> None:
        """Poll the order until it has a payment, or some seconds are over."""
        for _ in range(_LOOKS):
            try:
                seen = self._http.get(f"/orders/{order_id}", headers=self._token(purchase))
            except httpx.TransportError:
                continue
            if seen.status_code == 200 and "payment" in seen.json():
                return
            time.sleep(_LOOK_INTERVAL_SECONDS)

    def _token(self, purchase: Purchase) -> dict[str, str]:
        return {"authorization": f"Bearer {self._accounts[purchase.customer].token}"}

    def _cancel(self, purchase: Purchase, order_id: str) -> None:
        """Cancel the order; repeat the request until there is a response."""
        for _ in range(MOST_ATTEMPTS):
            response = self._send(purchase, f"/orders/{order_id}/cancellation")
            if response is not None and response.status_code < 500:
                with self.responses.lock:
                    self.responses.cancellations.setdefault(order_id, set()).add(response.status_code)
                    if response.status_code not in (200, 202, 409):
                        self.responses.wrong.append(
                            f"the response of a cancellation was {response.status_code}: {response.text}"
                        )
                return
            with self.responses.lock:
                self.responses.failed += 1
            time.sleep(_RETRY_SECONDS)

    def _post(self, purchase: Purchase) -> httpx.Response | None:
        headers = {"idempotency-key": purchase.key} if purchase.key else {}
        return self._send(purchase, "/orders", json=purchase.body, headers=headers)

    def _send(
        self, purchase: Purchase, path: str, *, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response | None:
        with self.responses.lock:
            self.responses.requests += 1
        try:
            return self._http.post(path, json=json, headers={**self._token(purchase), **(headers or {})})
        except httpx.TransportError:
            return None

    def _checked(self, purchase: Purchase, response: httpx.Response) -> Mapping[str, Any] | None:
        with self.responses.lock:
            if response.status_code not in (200, 201):
                self.responses.wrong.append(f"the response of POST /orders was {response.status_code}: {response.text}")
                return None
            order: Mapping[str, Any] = response.json()
            first = self.responses.accepted.setdefault(order["orderId"], order)
            if (
                purchase.key
                and self.responses.keys.setdefault((purchase.customer, purchase.key), order["orderId"])
                != (order["orderId"])
            ):
                self.responses.wrong.append(f"one Idempotency-Key led to two orders: {first} and {order}")
            return order
