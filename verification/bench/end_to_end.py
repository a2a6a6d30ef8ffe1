"""From the click to the final status on the embedded AWS, ours against the floor: the same topology, the least code.

Both are deployed by the same serverless.yml, each on an emulator of its own, and take turns: one is loaded while the
other rests. Each client places an order, waits until its parcel is ready, and places the next. An order has ended when
OrderStatusUpdater has logged so, in ours after its write; the line's own time counts.
"""

import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any
from uuid import uuid4

import httpx
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

from local.emulator.ports import free_port
from local.emulator.process import emulator
from local.emulator.state import STATE_DIR_VARIABLE, LocalError, State
from operations.customer import Customer
from operations.stack import Stack, described
from tools.checkout import ROOT

CLIENTS = (1, 4, 16)
ORDERS = {1: 25, 4: 60, 16: 120}
"""How many orders a round has at so many clients."""
_PATIENCE = 120  # seconds that an order may take
_PARTS = ("serverless.yml", "resources", "tools", "handlers", "orders", "local", "operations", "web")


class System:
    """A deployed stack under load."""

    def __init__(self, stack: Stack, customer: Customer) -> None:
        self._stack = stack
        self._http = httpx.Client(
            base_url=stack.api_url,
            headers={"authorization": f"Bearer {customer.token}", "content-type": "application/json"},
            timeout=_PATIENCE,
            limits=httpx.Limits(max_connections=max(CLIENTS)),
        )
        self._shipped: set[str] = set()
        self._news = Condition()

    def round(self, clients: int, orders: int) -> tuple[list[float], float]:
        """Seconds from click to final status of each order, and orders per second."""
        clicked: dict[str, float] = {}

        def place(_: int) -> None:
            at = time.time()
            body = {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"}
            answer = self._http.post("/orders", json=body)
            order_id = answer.raise_for_status().json()["orderId"]
            clicked[order_id] = at
            with self._news:
                if not self._news.wait_for(lambda: order_id in self._shipped, _PATIENCE):
                    raise LocalError(f"order {order_id} did not end in {_PATIENCE} s")

        since = time.time()
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(place, range(orders)))
        ended = self._ended(clicked, since)
        self._rest()
        span = max(ended.values()) - min(clicked.values())
        return [ended[order_id] - at for order_id, at in clicked.items()], orders / span

    def _rest(self) -> None:
        """Until every customer was told: what is left of one system's round is no load of the other's."""
        dynamodb, table = self._stack.client("dynamodb"), self._stack.outputs["OrdersTableName"]
        deadline = time.monotonic() + _PATIENCE
        while dynamodb.scan(TableName=table, IndexName="openOrders", Select="COUNT")["Count"]:
            if time.monotonic() > deadline:
                raise LocalError(f"there are open orders after {_PATIENCE} s")
            time.sleep(0.2)  # between two looks

    def _ended(self, clicked: Mapping[str, float], since: float) -> dict[str, float]:
        """Order → when the status updater's log says that it was FULFILLED, in seconds since 1970."""
        logs, group = self._stack.client("logs"), f"/aws/lambda/{self._stack.function('orderStatusUpdater')}"
        deadline = time.monotonic() + _PATIENCE
        while True:
            found: dict[str, float] = {}
            pages = logs.get_paginator("filter_log_events").paginate(
                logGroupName=group, startTime=int(1000 * since) - 1000
            )
            for line in (event["message"] for page in pages for event in page["events"]):
                if "The order is FULFILLED" in line:
                    told = json.loads(line)
                    found[told["orderId"]] = datetime.strptime(told["timestamp"], "%Y-%m-%d %H:%M:%S,%f%z").timestamp()
            if found.keys() >= clicked.keys():
                return {order_id: found[order_id] for order_id in clicked}
            if time.monotonic() > deadline:
                raise LocalError(f"{len(clicked.keys() - found.keys())} orders did not end in {_PATIENCE} s")
            time.sleep(0.2)  # between two looks at the log

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A queue that gets each FulfillmentCompletedEvent: the clients wait for it, with either code."""
        events, name = self._stack.client("events"), f"bench-{uuid4()}"
        patience = Config(read_timeout=3, retries={"total_max_attempts": 1})
        sqs = self._stack.session.client("sqs", endpoint_url=self._stack.endpoint_url, config=patience)
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Resource": arn}]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        bus = self._stack.outputs["EventBusName"]
        pattern = json.dumps({"detail-type": ["FulfillmentCompletedEvent"]})
        events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern)
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "bench", "Arn": arn}])
        for rule in events.list_rules()["Rules"]:  # the reconciler would come in some rounds and not in others
            events.disable_rule(Name=rule["Name"])
        over = Event()
        watcher = Thread(target=self._watch, args=(sqs, url, over), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            self._http.close()

    def _watch(self, sqs: Any, url: str, over: Event) -> None:
        while not over.is_set():
            try:
                answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            except ReadTimeoutError:
                continue  # the emulator forgets to answer a long poll now and then; the message is still there
            for message in answer.get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                with self._news:
                    self._shipped.add(json.loads(message["Body"])["detail"]["data"]["orderId"])
                    self._news.notify_all()


def measure(
    folder: Path, *, rounds: int, share: float, step: Callable[[str], Any], say: Callable[[str], None]
) -> dict[str, Any]:
    """By clients: of both systems the percentiles in milliseconds and orders per second, medians of the rounds."""
    with ExitStack() as running:
        systems = {}
        for name, checkout in (("ours", ROOT), ("floor", floor(folder / "checkout"))):
            with step(f"Deploying {name}"):
                systems[name] = running.enter_context(_deployed(checkout, State(folder / name)))
        found: dict[tuple[str, int], list[dict[str, float]]] = {}
        for number in range(rounds + 1):
            for clients in CLIENTS:
                for name, system in systems.items():
                    orders = max(2 * clients, int(ORDERS[clients] * share))
                    taken, rate = system.round(clients, orders)
                    if number:  # the first round starts the functions' processes
                        found.setdefault((name, clients), []).append({**_percentiles(taken), "per second": rate})
            say(f"round {number} of {rounds}")
    return {str(clients): {name: _medians(found[name, clients]) for name in ("ours", "floor")} for clients in CLIENTS}


def floor(folder: Path) -> Path:
    """A checkout whose handlers are the floor's."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in _PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    for part in ("node_modules", ".venv"):
        (folder / part).symlink_to(ROOT / part)
    shutil.rmtree(folder / "handlers")
    shutil.copytree(
        ROOT / "verification" / "bench" / "floor", folder / "handlers", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


@contextmanager
def _deployed(checkout: Path, state: State) -> Iterator[System]:
    with emulator(state, free_port()):
        done = subprocess.run(
            [str(ROOT / "node_modules" / ".bin" / "sls"), "deploy", "--stage", "local"],
            cwd=checkout,
            env={**os.environ, STATE_DIR_VARIABLE: str(state.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LocalError(f"the deploy failed: {(done.stdout + done.stderr).strip()[-1500:]}")
        description = json.loads(state.stack.read_text())
        stack = described(description)
        customer = Customer(stack.client("cognito-idp"), description, stack.api_url, "bench@example.com")
        system = System(stack, customer)
        with system.watched():
            yield system


def _percentiles(taken: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return {"p50": 1000 * cuts[49], "p95": 1000 * cuts[94], "p99": 1000 * cuts[98]}


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(each[name] for each in rounds), 1) for name in rounds[0]}
