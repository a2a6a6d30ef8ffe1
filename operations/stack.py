"""A deployed stack: its outputs, and clients that talk to it and to no other."""

import argparse
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from operations.errors import OperatorError
from operations.loopback import is_listening, is_loopback
from operations.region import default_region
from tools import topology

_CLIENT_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
"""No call here takes ten seconds, so after ten the SDK retries; three attempts at most."""

_STAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
"""A stage that can be a part of a stack's name, which has at most 128 characters."""

DEPLOYED_BY_DEFAULT = "dev"
"""The stage of a deploy that names none."""

_CONNECTION = ("endpointUrl", "region", "accessKeyId", "secretAccessKey")


class StackUnavailable(OperatorError):
    """There is no such stack, or it can't be read; the message says what to do about it."""


def stack_name(stage: str) -> str:
    """The name of a stage's stack, as osls makes it: `order-processing-dev`."""
    return f"{topology.name()}-{stage}"


class Outputs(dict[str, Any]):
    """A stack's outputs by name. One that is missing raises StackUnavailable: the stack is of another version."""

    def __missing__(self, name: str) -> Any:
        raise StackUnavailable(f"the stack has no output {name}: deploy it again, and check that the deploy succeeds")


class Stack(NamedTuple):
    """One deployed stage."""

    stage: str
    session: boto3.Session
    endpoint_url: str | None
    outputs: Mapping[str, str]

    @property
    def name(self) -> str:
        """The stack's name in CloudFormation."""
        return stack_name(self.stage)

    @property
    def api_url(self) -> str:
        """The API's URL; locally that is not the URL of the output."""
        return str(self.outputs["apiUrl" if "apiUrl" in self.outputs else "HttpApiUrl"])

    def client(self, service: str, *, connections: int = 10) -> Any:
        """Make a client for so many threads. Only one thread may use the session: make all clients in it."""
        make: Any = self.session.client  # its stubs know literal names only
        config = _CLIENT_CONFIG.merge(Config(max_pool_connections=connections))
        return make(service, endpoint_url=self.endpoint_url, config=config)

    def function(self, name: str) -> str:
        """The deployed name of a function, such as `paymentProcessing`."""
        return f"{self.name}-{name}"

    def configure(self, function: str, *, timeout: int | None = None, **variables: str) -> None:
        """Change variables of a function, and its time-out in seconds. On AWS a change takes effect within seconds."""
        client, name = self.client("lambda"), self.function(function)
        before = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        options = {"Timeout": timeout} if timeout else {}
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**before, **variables}}, **options
        )


def add_stage(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """Add the options that select a stack: `--stage`, `--region` and `--aws-profile`, the last two as in `sls deploy`.

    Without a default, the stage is that of `default_stage`.
    """
    text = default or f"local where the local stack runs, else {DEPLOYED_BY_DEFAULT}"
    parser.add_argument("--stage", default=default, help=f"local, or a stage on AWS; default: {text}")
    parser.add_argument("--region", help="where the stage is on AWS; default: provider.region of serverless.yml")
    parser.add_argument(
        "--aws-profile", metavar="NAME", help="whose credentials to use; default: those of your environment"
    )


def default_stage(region: str | None = None, profile: str | None = None) -> str:
    """The stage of a command that names none: `local` if the local stack runs, else the default stage of a deploy.

    With a region or a profile it is always that on AWS.
    """
    if region or profile:
        return DEPLOYED_BY_DEFAULT
    try:
        endpoint_url = _local(None).endpoint_url
    except StackUnavailable:
        return DEPLOYED_BY_DEFAULT
    return "local" if endpoint_url and is_listening(endpoint_url) else DEPLOYED_BY_DEFAULT


def find(stage: str, region: str | None = None, profile: str | None = None) -> Stack:
    """The stack of a stage: `local` as .local/stack.json describes it, others with your AWS credentials.

    On AWS it looks where `sls deploy` would deploy to: in the region of serverless.yml, unless one is named. A default
    region of the user is ignored. Raises StackUnavailable.
    """
    if not _STAGE.fullmatch(stage):
        raise StackUnavailable(f"{stage!r} can't be a stage: use letters, digits and hyphens, such as dev")
    return _local(region) if stage == "local" else _on_aws(stage, region or default_region(), profile)


def from_environment() -> Stack:
    """The stack of the stage in STAGE, by default `local`, in the region in REGION. Raises StackUnavailable."""
    return find(os.environ.get("STAGE", "local"), os.environ.get("REGION"))


def account_of(stage: str, region: str | None = None, profile: str | None = None) -> Stack:
    """Where `find` would look for the stage, whether or not it is deployed: a stack that has no outputs yet.

    The embedded AWS has the running stack. Raises StackUnavailable.
    """
    if stage == "local":
        return find(stage, region)
    name = region or default_region()
    try:
        return Stack(stage, boto3.Session(profile_name=profile, region_name=name), None, Outputs())
    except BotoCoreError as error:  # no such profile
        raise StackUnavailable(f"AWS in {name} can't be asked: {error}") from error


def _local(region: str | None) -> Stack:
    file = Path(os.environ.get("ORDER_PROCESSING_STATE_DIR", ".local")) / "stack.json"
    try:
        stack = described(json.loads(file.read_text()))
    except FileNotFoundError:
        raise StackUnavailable("no local stack is running; start one with: npm start") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StackUnavailable(f"{file} can't be read ({error}); stop npm start, and start it again") from error
    if region and region != stack.outputs["region"]:
        raise StackUnavailable(f"the local stack is in {stack.outputs['region']}, not in {region}; leave out --region")
    return stack


def described(stack: Mapping[str, Any]) -> Stack:
    """The local stack, from its description in `stack.json`. Raises StackUnavailable."""
    if not isinstance(stack, Mapping) or not all(isinstance(stack.get(name), str) for name in _CONNECTION):
        raise StackUnavailable("stack.json describes no stack; stop npm start, and start it again")
    if not is_loopback(stack["endpointUrl"]):
        raise StackUnavailable(f"{stack['endpointUrl']} is not on this machine; stage local talks to nothing else")
    # The user's profiles are for AWS, and a missing one would be an error, so none is read.
    nothing = {"profile": None, "config_file": os.devnull, "credentials_file": os.devnull}
    unconfigured = botocore.session.Session({name: (None, None, value, None) for name, value in nothing.items()})
    session = boto3.Session(
        stack["accessKeyId"], stack["secretAccessKey"], region_name=stack["region"], botocore_session=unconfigured
    )
    return Stack("local", session, stack["endpointUrl"], Outputs(stack))


def _on_aws(stage: str, region: str, profile: str | None) -> Stack:
    name = stack_name(stage)
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        [stack] = session.client("cloudformation", config=_CLIENT_CONFIG).describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        refusal = error.response["Error"]
        if refusal["Code"] == "ValidationError" and "does not exist" in refusal["Message"]:
            raise StackUnavailable(
                f"no stack {name} in {region}; if it is in another region, name that with --region;"
                f" else deploy it with: npm run deploy -- --stage {stage}"
            ) from error
        raise StackUnavailable(f"AWS in {region} refuses to show {name}: {error}") from error
    except BotoCoreError as error:  # no credentials, no such profile, no such region, no network
        why = str(error).rstrip(".")
        raise StackUnavailable(
            f"AWS in {region} can't be asked for {name}: {why}; for the stack on this machine: --stage local"
        ) from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    return Stack(stage, session, None, Outputs(outputs))
