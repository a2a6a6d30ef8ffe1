"""One stack for all tests, with a port and a state of its own, so that it runs beside `npm start`."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import httpx
import pytest

from local.emulator.ports import free_port
from local.emulator.state import State
from local.launcher.running import stack
from orders.aws.dynamodb import Item
from tests.conftest import ENVIRONMENT
from tests.e2e.cloud import Cloud, FailedInvocation
from tests.e2e.shopper import Shopper
from tests.e2e.waiting import wait_for
from tools.checkout import ROOT


@pytest.fixture(scope="package")
def cloud() -> Iterator[Cloud]:
    """Deployed by the real `sls deploy`; the reconciler takes an order up after 10 seconds already.

    The storefront is served beside it, at `cloud.stack["webUrl"]`.
    """
    with pytest.MonkeyPatch.context() as patch, ExitStack() as closing:
        for name in ENVIRONMENT:  # what the other tests run with must not reach the deployed functions
            patch.delenv(name)
        state = State(ROOT / ".local" / f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}")
        running = stack(state, free_port(), web_port=free_port(), parameters={"reconcileAfterSeconds": "10"})
        yield Cloud(closing.enter_context(running), closing)


@pytest.fixture(scope="package")
def anna(cloud: Cloud) -> Shopper:
    return Shopper(cloud)


@pytest.fixture(scope="package")
def bela(cloud: Cloud) -> Shopper:
    return Shopper(cloud)


class Outage(NamedTuple):
    """What was seen of an order that was placed while the payment gateway was down. It is up again."""

    placed: httpx.Response
    dead_letters: list[FailedInvocation]
    item_meanwhile: Item

    @property
    def order_id(self) -> str:
        return str(self.placed.json()["orderId"])


@pytest.fixture(scope="package")
def outage(cloud: Cloud, anna: Shopper) -> Outage:
    with cloud.environment("paymentProcessing", PAYMENT_GATEWAY="down"):
        placed = anna.place()
        order_id = placed.json()["orderId"]
        [entry, *_] = wait_for("audit log of the order", lambda: anna.trail(order_id))
        letters = wait_for("dead letter", lambda: cloud.dead_letters(entry["eventId"]))
        item = cloud.item(order_id)
    assert item
    return Outage(placed, letters, item)
