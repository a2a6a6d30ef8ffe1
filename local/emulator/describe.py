"""Writes `stack.json`, which describes the running local stack. The plugin runs this after each deploy."""

import json
import sys
import urllib.request
from typing import Any

import boto3

from local.emulator.state import LocalError, State, write
from local.emulator.waiting import until
from operations.stack import stack_name

STACK = stack_name("local")


def describe(state: State) -> dict[str, Any]:
    """Read the outputs from CloudFormation, check that the API responds, and write `stack.json`. Raises LocalError."""
    emulator = state.read_emulator()
    outputs = _outputs(emulator)
    # The URLs of the outputs are AWS's form of them; these are the ones at which the emulator responds.
    apis = f"{emulator['endpointUrl']}/_aws/execute-api"
    api_url = f"{apis}/{_id_in(outputs['HttpApiUrl'])}/$default"
    socket = outputs["WebSocketUrl"]
    outputs["WebSocketUrl"] = f"{apis.replace('http', 'ws', 1)}/{_id_in(socket)}/{socket.rpartition('/')[2]}"
    until(lambda: _has_products(api_url), seconds=30, what=f"a response of the API at {api_url}")
    connection = {name: emulator[name] for name in ("endpointUrl", "region", "accessKeyId", "secretAccessKey")}
    description = {**outputs, **connection, "apiUrl": api_url}
    if "webUrl" in emulator:
        description["webUrl"] = emulator["webUrl"]
    write(state.stack, description)
    return description


def _outputs(emulator: dict[str, Any]) -> dict[str, str]:
    cloudformation = boto3.client(
        "cloudformation",
        endpoint_url=emulator["endpointUrl"],
        region_name=emulator["region"],
        aws_access_key_id=emulator["accessKeyId"],
        aws_secret_access_key=emulator["secretAccessKey"],
    )
    [stack] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _id_in(url: str) -> str:
    """The API's id in its URL on AWS."""
    return url.split("//")[1].split(".")[0]


def _has_products(api_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api_url}/products", timeout=15) as response:
            return bool(json.load(response)["products"])
    except OSError:  # an HTTP error, or no response in time: a function's first start on a busy machine is slow
        return False


if __name__ == "__main__":
    try:
        describe(State())
    except LocalError as error:
        sys.exit(str(error))
