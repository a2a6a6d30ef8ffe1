"""Fixtures of the unit and wiring tests: an environment without any real account in it, moto's AWS, and the shop."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from logging import StreamHandler
from typing import Any

import pytest
from moto import mock_aws
from moto.backends import get_backend
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tools import topology

# Before the code is imported: its logger reads the environment then. Nothing here can reach an account of the user's.
for _name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
    del os.environ[_name]
RESOURCE_NAMES = {
    "OrdersTable": "Orders",
    "AuditLogTable": "AuditLog",
    "GatewayLedgerTable": "GatewayLedger",
    "FeedTable": "Feed",
    "EventBus": "test",
    "WebsocketsApi": "sockets",
}
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    **topology.environment(RESOURCE_NAMES),
}
os.environ |= ENVIRONMENT

from orders import clock
from orders.aws.gateway import SimulatedGateway
from orders.config import config
from orders.observability import logger
from tests.recorded_rights import RecordedRights
from tests.shop import AUDIT_LOG, FEED, LEDGER, ORDERS, Shop
from tests.wire import Wire


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(RecordedRights(config), RecordedRights.__name__)


class FilesTogether(LoadFileScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """A file's tests run in one process, and so do folders whose tests share what takes long: a stack, a template.

    The default. `--dist loadfile` gives each file of these folders to any process: more work, in less time.
    """

    _FOLDERS = ("tests/e2e", "tests/tools")

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in self._FOLDERS if file.startswith(f"{folder}/")), file)


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesTogether | None:
    return None if config.getoption("dist") == "loadfile" else FilesTogether(config, log)


@pytest.fixture(scope="session")
def _wire(pytestconfig: pytest.Config) -> Iterator[Wire]:
    """One wire and one AWS for all tests, since the code keeps its clients."""
    wire = Wire()
    wire.attach()
    wire.watchers.append(RecordedRights.of(pytestconfig).record)
    with mock_aws(config={"core": {"reset_boto3_session": False}}):  # the session that the wire is attached to
        yield wire


@pytest.fixture
def wire(_wire: Wire) -> Wire:
    _wire.reset()
    return _wire


@pytest.fixture
def shop(wire: Wire) -> Shop:
    """The system on an empty AWS, whose tables are those of resources/."""
    for service in ("apigatewaymanagementapi", "dynamodb", "events", "sesv2", "sns"):
        get_backend(service).reset()
    dynamodb = wire.client("dynamodb")
    tables = topology.of_type("AWS::DynamoDB::Table")
    taken = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    for name in (ORDERS, AUDIT_LOG, LEDGER, FEED):
        properties = tables[f"{name}Table"]
        dynamodb.create_table(TableName=name, **{part: properties[part] for part in taken if part in properties})
    wire.client("events").create_event_bus(Name=os.environ["EVENT_BUS_NAME"])
    wire.client("sesv2").create_email_identity(EmailIdentity=os.environ["SENDER_EMAIL"])
    wire.reset()
    return Shop(wire)


@pytest.fixture
def let_pass(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`let_pass(minutes=5)`: the code's clock stands still but for that, so that no slow machine makes an order due."""
    time = [clock.now()]

    def let_pass(**duration: float) -> None:
        time[0] += timedelta(**duration)

    monkeypatch.setattr(clock, "now", lambda: time[0])
    return let_pass


Charges = list[Any]


@pytest.fixture
def charges(monkeypatch: pytest.MonkeyPatch) -> Charges:
    """The payment gateway's responses to requests for a charge; the real adapter responds."""
    answers: Charges = []
    charge = SimulatedGateway.charge

    def watched(*args: Any, **kwargs: Any) -> Any:
        answers.append(charge(*args, **kwargs))
        return answers[-1]

    monkeypatch.setattr(SimulatedGateway, "charge", watched)
    return answers


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`configured(RECONCILE_CONCURRENCY="2")`: the environment that the code reads."""

    def configured(**environment: str) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        config.cache_clear()

    yield configured
    config.cache_clear()


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log_lines() -> Iterator[Lines]:
    """The log, line by line. Each must be JSON."""
    stream = StringIO()
    handler = logger.registered_handler
    assert isinstance(handler, StreamHandler)
    before = handler.setStream(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    handler.setStream(before)


@pytest.fixture
def metrics(capsys: pytest.CaptureFixture[str]) -> Lines:
    """The embedded-metric-format lines that were printed since the last look."""
    return lambda: [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line]
