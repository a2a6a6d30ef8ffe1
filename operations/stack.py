"""A deployed stack: its outputs, and clients that talk to it and to no other."""

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

SERVICE = "order-processing"
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_PATIENCE = Config(read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
"""Nothing here takes ten seconds: who waits at a terminal, or before the page, is better served by another try."""


class StackUnavailable(Exception):
    """There is no such stack; the message says what to do about it."""


class Stack(NamedTuple):
    """One deployed stage."""

    stage: str
    session: boto3.Session
    endpoint_url: str | None
    outputs: Mapping[str, str]

    @property
    def api_url(self) -> str:
        """Where the API answers; locally that is not the URL of the output."""
        return self.outputs.get("apiUrl", self.outputs["HttpApiUrl"])

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.endpoint_url, config=_PATIENCE)

    def function(self, name: str) -> str:
        """The deployed name of a function, such as `paymentProcessing`."""
        return f"{SERVICE}-{self.stage}-{name}"

    def deliver(self, target: str, payload: str) -> None:
        """Hand a payload to a function, topic or queue, by its ARN (or a queue's URL), as EventBridge would."""
        match target.split(":")[2] if target.startswith("arn:") else "url":
            case "lambda":
                self.client("lambda").invoke(FunctionName=target, InvocationType="Event", Payload=payload)
            case "sns":
                self.client("sns").publish(TopicArn=target, Message=payload)
            case "sqs":
                sqs = self.client("sqs")
                queue_url = sqs.get_queue_url(QueueName=target.rpartition(":")[2])["QueueUrl"]
                sqs.send_message(QueueUrl=queue_url, MessageBody=payload)
            case "url":
                self.client("sqs").send_message(QueueUrl=target, MessageBody=payload)
            case service:
                raise ValueError(f"don't know how to deliver to {service}: {target}")


def add_stage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", default="dev", help="local, or a stage on AWS; default: dev")


def find(stage: str) -> Stack:
    """The stack of a stage: `local` as .local/stack.json describes it, others with your AWS credentials.

    Raises StackUnavailable.
    """
    return _local() if stage == "local" else _on_aws(stage)


def _local() -> Stack:
    description = Path(os.environ.get("ORDER_PROCESSING_STATE_DIR", ".local")) / "stack.json"
    try:
        stack = json.loads(description.read_text())
    except FileNotFoundError:
        raise StackUnavailable("no local stack is running; start one with: npm start") from None
    return described(stack)


def described(stack: Mapping[str, Any]) -> Stack:
    """The local stack that this description, the content of `stack.json`, is of. Raises StackUnavailable."""
    if urlsplit(stack["endpointUrl"]).hostname not in _LOOPBACK:
        raise StackUnavailable(f"{stack['endpointUrl']} is not on this machine; stage local talks to nothing else")
    # The user's profiles are for AWS, and one that is gone would stop us: none is read.
    nothing = {"profile": None, "config_file": os.devnull, "credentials_file": os.devnull}
    unconfigured = botocore.session.Session({name: (None, None, value, None) for name, value in nothing.items()})
    session = boto3.Session(
        stack["accessKeyId"], stack["secretAccessKey"], region_name=stack["region"], botocore_session=unconfigured
    )
    return Stack("local", session, stack["endpointUrl"], stack)


def _on_aws(stage: str) -> Stack:
    session, name = boto3.Session(), f"{SERVICE}-{stage}"
    try:
        [stack] = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        raise StackUnavailable(
            f"no stack {name}: {error}; deploy it with: npm run deploy -- --stage {stage}"
        ) from error
    except BotoCoreError as error:  # no region, no credentials, no network
        raise StackUnavailable(f"AWS can't be asked for {name}: {error} The local stack is: --stage local") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    return Stack(stage, session, None, outputs)
