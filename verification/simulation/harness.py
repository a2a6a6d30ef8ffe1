"""The harness: it runs the deployed code with a simulated AWS, clock and randomness in place of the real ones."""

import io
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import boto3

from handlers import reconciler, wiring
from operations import dead_letters
from operations.stack import Stack
from orders import clock
from orders.aws import backoff
from orders.aws.client import client as aws_client
from orders.aws.gateway import SimulatedGateway
from orders.config import config
from orders.errors import GatewayUnavailable
from orders.observability import logger
from tools import topology
from verification.simulation.clients import client
from verification.simulation.cloud import SimulatedCloud
from verification.simulation.deployment import QUEUES, queue_url
from verification.simulation.faults import FaultKind
from verification.simulation.online_checker import LEDGER
from verification.simulation.random_source import RandomSource
from verification.simulation.world import SimulatedPool

_ADAPTERS = (wiring.store, wiring.audit_log, wiring.bus, wiring.gateway, wiring.notifier, wiring.feed, wiring.sockets)
_CACHES = (*_ADAPTERS, aws_client, config)
_ENVIRONMENT = topology.environment(
    {
        "OrdersTable": "Orders",
        "AuditLogTable": "AuditLog",
        "GatewayLedgerTable": LEDGER,
        "FeedTable": "Feed",
        "EventBus": "simulated",
        "WebsocketsApi": "simulated",
    }
)


@contextmanager
def deployed(cloud: SimulatedCloud, rng: RandomSource, *, cancel_after_hours: int = 0) -> Iterator[None]:
    """Within the block, let the handlers and the operator's commands use this cloud instead of AWS."""

    def in_an_outage(call: Callable[..., Any]) -> Callable[..., Any]:
        """The provider's method, which does not respond while the gateway is down."""

        def called(*args: Any, **kwargs: Any) -> Any:
            if cloud.is_down("gateway", FaultKind.GATEWAY_DOWN):
                raise GatewayUnavailable("the payment gateway is down")
            return call(*args, **kwargs)

        return called

    def simulated_client(service: str, *, config: Any = None, **_: Any) -> Any:
        return client(cloud, service, config)

    before = logger.log_level
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, _ENVIRONMENT, CANCEL_AFTER_HOURS=str(cancel_after_hours)))
        stack.enter_context(mock.patch.object(boto3, "client", simulated_client))
        stack.enter_context(mock.patch.object(clock, "now", cloud.world.moment))
        stack.enter_context(mock.patch.object(backoff, "time", SimpleNamespace(sleep=cloud.world.wait)))
        stack.enter_context(mock.patch.object(backoff, "random", SimpleNamespace(uniform=_jitter(cloud, rng))))
        stack.enter_context(mock.patch.object(os, "urandom", rng.random_bytes))
        stack.enter_context(mock.patch.object(reconciler, "ThreadPoolExecutor", partial(SimulatedPool, cloud.world)))
        for method in ("charge", "cancel"):
            outage = in_an_outage(getattr(SimulatedGateway, method))
            stack.enter_context(mock.patch.object(SimulatedGateway, method, outage))
        stack.enter_context(mock.patch.object(dead_letters, "time", _time(cloud)))
        stack.enter_context(mock.patch.object(dead_letters, "ThreadPoolExecutor", partial(SimulatedPool, cloud.world)))
        metrics = stack.enter_context(redirect_stdout(io.StringIO()))
        logger.setLevel(logging.CRITICAL)
        forget()
        try:
            yield
        finally:
            forget()
            logger.setLevel(before)
        if "OrdersUnreadable" in metrics.getvalue():  # every simulated order is readable
            cloud.checker.broken("an order was left out of its customer's list")


def stack(cloud: SimulatedCloud) -> Stack:
    """The deployed stack as the operator's commands see it."""
    session = SimpleNamespace(client=lambda service, **_: client(cloud, service, None))
    outputs = {f"{queue}Url": queue_url(queue) for queue in QUEUES}
    return Stack("simulated", cast(Any, session), None, outputs)


def _time(cloud: SimulatedCloud) -> Any:
    return SimpleNamespace(time=lambda: cloud.milliseconds(cloud.world.now) / 1000)


def _jitter(cloud: SimulatedCloud, rng: RandomSource) -> Callable[[float, float], float]:
    def uniform(low: float, high: float) -> float:
        return low + (high - low) * rng.draw(f"pause {cloud.world.thread.name} {cloud.world.thread.calls}")

    return uniform


def forget() -> None:
    """Clear the caches of clients, adapters and configuration, as in a new process."""
    for cached in _CACHES:
        cached.cache_clear()
