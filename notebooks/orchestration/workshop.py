"""The resources of notebook 14's state machines: functions, roles and a table of the reader's own.

    shop = Workshop(stack)                   creates them, after removing those that an interrupted run has left
    shop.task("ship", Next="Notify")         a Task state that invokes the step
    shop.question("ask", Next="Ship")        one that waits until somebody sends its token
    shop.order(faults=["down"])              an order to start an execution with; each fault hits one call
    shop.cancel(order_id)                    the customer cancels; False if the parcel is gone
    shop.run(machine, order)                 start an execution, wait for its end, return it
    shop.effects(order_id)                   the effects of the steps: money, parcel, e-mails
    shop.close()                             removes all of them; so does the end of the kernel

Nothing here changes the deployed system. The steps run in a copy of the package of one of its functions, which has
their libraries.
"""

import atexit
import io
import json
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from botocore.exceptions import ClientError

from local.emulator.waiting import until
from notebooks.orchestration import steps
from operations.stack import Stack

STEPS = ("take_payment", "ship", "refund", "notify", "ask")
TOTAL_AMOUNT = 1290
_PREFIX = "orchestrated"
_INVOKE = "arn:aws:states:::lambda:invoke"
_POLL_SECONDS = 0.1
_ROLE_SECONDS = 60
_REMOVAL_SECONDS = 300


class Execution(NamedTuple):
    """One run of a state machine, as Step Functions describes it, with its history."""

    order_id: str
    status: str
    output: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]


class Workshop:
    """The resources of the notebook's state machines, under one name; `workflow_role` is the ARN of their role."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._states = stack.client("stepfunctions")
        self._lambda = stack.client("lambda")
        self._iam = stack.client("iam")
        self._logs = stack.client("logs")
        self._dynamodb: Any = stack.session.resource("dynamodb", endpoint_url=stack.endpoint_url)
        self._owner = f"{_PREFIX}-{stack.stage}-"
        self.close()
        self.name = f"{self._owner}{uuid4().hex[:6]}"
        atexit.register(self.close)
        self._table: Any = self._dynamodb.create_table(
            TableName=self.name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        self._table.wait_until_exists()
        self._steps_role = self._role("steps", "lambda.amazonaws.com", rights_of_a_step(self._table.table_arn))
        self._package, self._runs_on = _deployed(self._lambda, stack.function("paymentProcessing"))
        source = Path(steps.__file__).read_text()
        self.functions = {step: self._create(step, source) for step in STEPS}
        self._wait_until_active(*STEPS)
        ours = f"{self.functions['ship'].removesuffix('ship')}*"
        self.workflow_role = self._role("workflow", "states.amazonaws.com", rights_of_the_workflow(ours))

    # --- what the notebook builds with --------------------------------------------------------------------------------

    def function(self, step: str, source: str) -> str:
        """Create a function from a module that defines `step(event, context)`, or replace it; returns its ARN."""
        with suppress(self._lambda.exceptions.ResourceNotFoundException):
            self._lambda.delete_function(FunctionName=f"{self.name}-{step}")
        arn = self._create(step, source)
        self._wait_until_active(step)
        return arn

    def task(self, step: str, payload: Mapping[str, str] | None = None, **fields: Any) -> dict[str, Any]:
        """A Task state that invokes the step and passes its result on. Without a payload it gets the order."""
        parameters = {
            "FunctionName": f"{self.name}-{step}",
            **({"Payload": payload} if payload else {"Payload.$": "$"}),
        }
        return {"Type": "Task", "Resource": _INVOKE, "Parameters": parameters, "OutputPath": "$.Payload", **fields}

    def question(self, step: str, **fields: Any) -> dict[str, Any]:
        """A Task state that invokes the step with the order and a token, and waits until somebody sends the token."""
        payload = {"order.$": "$", "token.$": "$$.Task.Token"}
        parameters = {"FunctionName": f"{self.name}-{step}", "Payload": payload}
        return {"Type": "Task", "Resource": f"{_INVOKE}.waitForTaskToken", "Parameters": parameters, **fields}

    def machine(self, name: str, states: Mapping[str, Any], *, start_at: str = "Take payment") -> str:
        """Create a state machine from its states, under a new name each time; returns its ARN."""
        created = _once_assumable(
            lambda: self._states.create_state_machine(
                name=f"{self.name}-{name}-{uuid4().hex[:6]}",
                roleArn=self.workflow_role,
                definition=json.dumps({"StartAt": start_at, "States": states}),
            )
        )
        return str(created["stateMachineArn"])

    # --- what the notebook experiments with ---------------------------------------------------------------------------

    def order(self, payment_method: str = "tok_visa", faults: Sequence[str] = ()) -> dict[str, Any]:
        """A new order, for which the payment provider has these faults, one for each call."""
        order = {"orderId": str(uuid4()), "totalAmount": TOTAL_AMOUNT, "paymentMethod": payment_method}
        if faults:
            self._table.put_item(Item={"id": f"faults/{order['orderId']}", "faults": list(faults)})
        return order

    def start(self, machine: str, order: Mapping[str, Any]) -> str:
        """Start an execution, named after the order; returns its ARN."""
        started = self._states.start_execution(
            stateMachineArn=machine, name=str(order["orderId"]), input=json.dumps(order)
        )
        return str(started["executionArn"])

    def follow(self, execution: str, *, seconds: float = 60) -> Execution:
        """Wait until an execution has ended, and return it. After `seconds` it is returned as it is then: RUNNING."""
        deadline = time.monotonic() + seconds
        while (found := self._states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        pages = self._states.get_paginator("get_execution_history").paginate(executionArn=execution)
        return Execution(
            order_id=found["name"],
            status=found["status"],
            output=json.loads(found.get("output") or "{}"),
            events=[event for page in pages for event in page["events"]],
        )

    def run(self, machine: str, order: Mapping[str, Any]) -> Execution:
        """Start an execution and wait for its end."""
        return self.follow(self.start(machine, order))

    def cancel(self, order_id: str) -> bool:
        """Cancel the order as its customer; True if the parcel was not handed over before."""
        try:
            self._table.update_item(
                Key={"id": f"parcel/{order_id}"},
                UpdateExpression="SET cancelled = :yes",
                ConditionExpression="attribute_not_exists(trackingId)",
                ExpressionAttributeValues={":yes": True},
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def token(self, order_id: str) -> str | None:
        """The token of the question about an order, once it is asked."""
        row = self._table.get_item(Key={"id": f"question/{order_id}"}, ConsistentRead=True).get("Item", {})
        token: str | None = row.get("taskToken")
        return token

    def effects(self, order_id: str) -> dict[str, Any]:
        """The effects outside of the state machine: the money at the provider, the parcel, the e-mails."""
        rows = self._table.scan(ConsistentRead=True)["Items"]
        by_id = {row["id"]: row for row in rows}
        charges = [row for row in rows if row["id"].startswith("ledger/") and row["orderId"] == order_id]
        return {
            "charges": sum(row["charged"] > 0 for row in charges),
            "charged": int(sum(row["charged"] for row in charges)),
            "refunded": int(sum(row["refunded"] for row in charges)),
            "shipped": "trackingId" in by_id.get(f"parcel/{order_id}", {}),
            "mails": len(by_id.get(f"mails/{order_id}", {}).get("mails", [])),
        }

    def failures(self, function: str, order_id: str) -> list[str]:
        """The times at which a deployed function failed on an order, from its log: the choreographed side."""
        pages = (
            self._stack.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=f"/aws/lambda/{self._stack.function(function)}", filterPattern=f'"{order_id}"')
        )
        lines = [line for page in pages for line in page["events"] if "GatewayUnavailable" in line["message"]]
        return [datetime.fromtimestamp(line["timestamp"] / 1000, UTC).isoformat() for line in lines]

    # --- making and removing it ---------------------------------------------------------------------------------------

    def _create(self, step: str, source: str) -> str:
        package = io.BytesIO(self._package)
        with zipfile.ZipFile(package, "a") as file:
            file.writestr("steps.py", source)
        created = _once_assumable(
            lambda: self._lambda.create_function(
                FunctionName=f"{self.name}-{step}",
                **self._runs_on,
                Handler=f"steps.{step}",
                Role=self._steps_role,
                Code={"ZipFile": package.getvalue()},
                Timeout=30,
                MemorySize=512,
                Environment={"Variables": {"TABLE": self.name}},
            )
        )
        return str(created["FunctionArn"])

    def _wait_until_active(self, *names: str) -> None:
        for step in names:
            self._lambda.get_waiter("function_active_v2").wait(FunctionName=f"{self.name}-{step}")

    def leftovers(self) -> list[str]:
        """The names of everything that a notebook of this stage has made and not removed, by kind."""
        return [name for name, _ in self._made()]

    def close(self) -> None:
        """Remove everything, including what an earlier run has left, and wait until it is gone."""
        for _, remove in list(self._made()):
            remove()
        until(
            lambda: not self.leftovers(), seconds=_REMOVAL_SECONDS, what="the end of the clean-up", every=_POLL_SECONDS
        )
        atexit.unregister(self.close)

    def _made(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Everything with our prefix: its name, and the call that removes it."""
        states, functions = self._states, self._lambda
        for machine in self._listed(states, "list_state_machines", "stateMachines"):
            if machine["name"].startswith(self._owner):
                remove = partial(states.delete_state_machine, stateMachineArn=machine["stateMachineArn"])
                yield f"state machine {machine['name']}", remove
        for function in self._listed(functions, "list_functions", "Functions"):
            if (name := function["FunctionName"]).startswith(self._owner):
                yield f"function {name}", partial(functions.delete_function, FunctionName=name)
        for role in self._listed(self._iam, "list_roles", "Roles"):
            if (name := role["RoleName"]).startswith(self._owner):
                yield f"role {name}", partial(self._remove_role, name)
        for name in self._listed(self._dynamodb.meta.client, "list_tables", "TableNames"):
            if name.startswith(self._owner):
                yield f"table {name}", self._dynamodb.Table(name).delete
        for group in self._listed(self._logs, "describe_log_groups", "logGroups"):
            if (name := group["logGroupName"]).startswith(f"/aws/lambda/{self._owner}"):
                yield f"log group {name}", partial(self._logs.delete_log_group, logGroupName=name)

    def _listed(self, client: Any, operation: str, key: str) -> list[Any]:
        return [each for page in client.get_paginator(operation).paginate() for each in page[key]]

    def _remove_role(self, name: str) -> None:
        for policy in self._iam.list_role_policies(RoleName=name)["PolicyNames"]:
            self._iam.delete_role_policy(RoleName=name, PolicyName=policy)
        self._iam.delete_role(RoleName=name)

    def _role(self, name: str, service: str, statements: Sequence[Mapping[str, Any]]) -> str:
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        role = f"{self.name}-{name}"
        arn = self._iam.create_role(RoleName=role, AssumeRolePolicyDocument=_policy([trust]))["Role"]["Arn"]
        self._iam.put_role_policy(RoleName=role, PolicyName="rights", PolicyDocument=_policy(statements))
        return str(arn)


def rights_of_a_step(table: str) -> list[dict[str, Any]]:
    """What the steps' role may do: write their effects, and log."""
    logs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    return [
        {"Effect": "Allow", "Action": "dynamodb:UpdateItem", "Resource": table},
        {"Effect": "Allow", "Action": logs, "Resource": "*"},
    ]


def rights_of_the_workflow(functions: str) -> list[dict[str, Any]]:
    """What a state machine's role may do: invoke these functions. The embedded AWS doesn't check it."""
    return [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": functions}]


def _deployed(client: Any, function: str) -> tuple[bytes, dict[str, Any]]:
    """The package of a deployed function, which has the libraries that a step imports, and its runtime."""
    found = client.get_function(FunctionName=function)
    with urllib.request.urlopen(found["Code"]["Location"]) as response:
        package = response.read()
    return package, {name: found["Configuration"][name] for name in ("Runtime", "Architectures")}


def _once_assumable(create: Callable[[], Any]) -> Any:
    """Create a resource with a new role. On AWS that fails for some seconds, until the role is known everywhere."""
    deadline = time.monotonic() + _ROLE_SECONDS
    while True:
        try:
            return create()
        except ClientError as error:
            refused = error.response["Error"]["Code"] in ("InvalidParameterValueException", "AccessDeniedException")
            if not refused or "role" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_SECONDS)


def _policy(statements: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
