"""What the tests put into a running emulator: functions, queues, rules, users."""

import io
import json
import os
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar
from uuid import uuid4

import boto3

from local.emulator.state import STATE_DIR_VARIABLE, State
from tests.conftest import ENVIRONMENT
from tools.checkout import ROOT

T = TypeVar("T")
Sls = Callable[..., subprocess.CompletedProcess[str]]
GENEROUS = 60  # seconds


def eventually(what: str, look: Callable[[], T]) -> T:
    """The first true answer."""
    deadline = time.monotonic() + GENEROUS
    while not (answer := look()):
        assert time.monotonic() < deadline, f"never seen: {what}"
        time.sleep(0.05)  # between two looks
    return answer


def sls_of(state: State) -> Sls:
    """`sls("info")` on stage `local`, as somebody types it whose shell knows nothing of AWS."""
    shell = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}

    def sls(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "node_modules" / ".bin" / "sls", *arguments, "--stage", "local"],
            cwd=ROOT,
            env={**shell, STATE_DIR_VARIABLE: str(state.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    return sls


def allow(action: str, resource: str = "*", **condition: Any) -> dict[str, Any]:
    """A statement of a policy."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


class EmbeddedAws:
    """The emulator, as its administrator; every name given out is new."""

    def __init__(self, description: dict[str, Any], state: State) -> None:
        self.url = description["endpointUrl"]
        self.state = state
        self.log_file = state.emulator_log
        self._admin = (description["accessKeyId"], description["secretAccessKey"])
        self.client = cache(self._client)

    def _client(self, service: str) -> Any:
        return self.client_of(self._admin, service)

    def client_of(self, credentials: tuple[str, str], service: str) -> Any:
        key, secret = credentials
        return boto3.client(  # type: ignore[call-overload] # the stubs know literal names only
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )

    def inside(self, path: str) -> Any:
        """What MiniStack shows of its inside."""
        with urllib.request.urlopen(f"{self.url}/_ministack/{path}") as response:
            return json.load(response)

    def user(self, *statements: dict[str, Any]) -> tuple[str, str]:
        """The credentials of somebody who may do this and nothing else."""
        iam, name = self.client("iam"), f"user-{uuid4()}"
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=policy(*statements))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def role(self, *statements: dict[str, Any]) -> str:
        """The ARN of a role for functions."""
        iam, name = self.client("iam"), f"role-{uuid4()}"
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=policy(*statements))
        return arn

    def queue(self, **attributes: str) -> tuple[str, str]:
        """Its URL and its ARN."""
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=f"queue-{uuid4()}", Attributes=attributes)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return url, arn

    def received(self, queue_url: str, *, wait: int = 0) -> list[str]:
        """The bodies of what is in a queue, or comes within the seconds; they stay invisible for its time."""
        answer = self.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait)
        return [message["Body"] for message in answer.get("Messages", [])]

    def function(self, source: str, *rights: dict[str, Any], **options: Any) -> str:
        """The ARN of a function with this source, which defines `handler(event, context)`."""
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as file:
            file.writestr(zipfile.ZipInfo("index.py"), source)  # without the time: the same source, the same package
        arn: str = self.client("lambda").create_function(
            FunctionName=f"function-{uuid4()}",
            Runtime="python3.13",
            Handler="index.handler",
            Role=self.role(*rights),
            Code={"ZipFile": package.getvalue()},
            **options,
        )["FunctionArn"]
        return arn

    def bus_with_target(self, arn: str, **target: Any) -> str:
        """The name of an event bus whose every event goes to this target."""
        events, bus = self.client("events"), f"bus-{uuid4()}"
        events.create_event_bus(Name=bus)
        events.put_rule(Name="all", EventBusName=bus, EventPattern=json.dumps({"source": [{"prefix": ""}]}))
        events.put_targets(Rule="all", EventBusName=bus, Targets=[{"Id": "target", "Arn": arn, **target}])
        return bus

    def put_event(self, bus: str, detail: Any = None) -> None:
        entry = {"EventBusName": bus, "Source": "test", "DetailType": "Tested", "Detail": json.dumps(detail or {})}
        assert self.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def deploy(self, template: dict[str, Any], stack: str) -> dict[str, str]:
        """Create or update a stack, and return its outputs."""
        cloudformation = self.client("cloudformation")
        stacks = [each["StackName"] for each in cloudformation.describe_stacks()["Stacks"]]
        change = cloudformation.update_stack if stack in stacks else cloudformation.create_stack
        change(StackName=stack, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_NAMED_IAM"])

        def ended() -> Any:
            [described] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
            return described if not described["StackStatus"].endswith("IN_PROGRESS") else None

        described = eventually("the end of the deploy", ended)
        assert described["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), described
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
