"""The harness: it runs the deployed code with a simulated AWS, clock and randomness in place of the real ones."""

import io
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import boto3
from botocore.exceptions import ClientError, ReadTimeoutError
from orders.payments import SimulatedGateway

from handlers import wiring
from operations import dead_letters
from operations.stack import Stack
from orders import clock
from orders.aws import backoff
from orders.aws.client import client as aws_client
from orders.config import config
from orders.errors import GatewayUnavailable
from orders.observability import logger
from orders.ports import Charge
from tools import topology
from verification.simulation.clients import client
from verification.simulation.cloud import SimulatedCloud
from verification.simulation.deployment import QUEUES, queue_url
from verification.simulation.faults import FaultKind
from verification.simulation.random_source import RandomSource

_CACHES = (wiring.store, wiring.audit_log, wiring.bus, wiring.gateway, wiring.notifier, aws_client, config)
_ENVIRONMENT = topology.environment({"OrdersTable": "Orders", "AuditLogTable": "AuditLog", "EventBus": "simulated"})


@contextmanager
def deployed(cloud: SimulatedCloud, rng: RandomSource) -> Iterator[None]:
    """Within the block, let the handlers and the operator's commands use this cloud instead of AWS."""
    gateway = SimulatedGateway.charge

    def charge(self: SimulatedGateway, token: str, amount: int, currency: str, *, idempotency_key: str) -> Charge:
        """Call the provider over the network: the response may be lost after the card was charged."""

        def effect(_fault: FaultKind | None) -> Charge:
            down = cloud.gateway_is_down()
            with mock.patch.dict(os.environ, PAYMENT_GATEWAY="down" if down else "up"):
                result = gateway(self, token, amount, currency, idempotency_key=idempotency_key)
            if result.declined is None:
                cloud.charge(idempotency_key, amount, currency, result.payment_id)
            return result

        try:
            return cast(Charge, cloud.network.call("Charge", effect, attempts=1))
        except (ClientError, ReadTimeoutError) as error:
            raise GatewayUnavailable(str(error)) from error

    def simulated_client(service: str, *, config: Any = None, **_: Any) -> Any:
        return client(cloud, service, config)

    before = logger.log_level
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, _ENVIRONMENT))
        stack.enter_context(mock.patch.object(boto3, "client", simulated_client))
        stack.enter_context(mock.patch.object(clock, "now", cloud.world.moment))
        stack.enter_context(mock.patch.object(backoff, "time", SimpleNamespace(sleep=cloud.world.wait)))
        stack.enter_context(mock.patch.object(backoff, "random", SimpleNamespace(uniform=_jitter(cloud, rng))))
        stack.enter_context(mock.patch.object(os, "urandom", rng.random_bytes))
        stack.enter_context(mock.patch.object(SimulatedGateway, "charge", charge))
        stack.enter_context(mock.patch.object(dead_letters, "time", _time(cloud)))
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
        return low + (high - low) * rng.draw(f"pause {cloud.world.process.name} {cloud.world.process.calls}")

    return uniform


def forget() -> None:
    """Clear the caches of clients, adapters and configuration, as in a new process."""
    for cached in _CACHES:
        cached.cache_clear()
