"""Where the operator's commands find the stack of a stage, and what they say where there is none."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from operations.errors import OperatorError
from operations.loopback import bypass_proxies, is_loopback
from operations.region import default_region
from operations.stack import StackUnavailable, find, from_environment, stack_name
from tests.unit.dead_letter_queues import refusal
from tools import topology

STACK = stack_name("dev")


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stack.json of a local stack."""
    file = tmp_path / "stack.json"
    stack = {
        "endpointUrl": "http://127.0.0.1:4566",
        "region": "us-east-1",
        "accessKeyId": "AKIA",
        "secretAccessKey": "s",
    }
    file.write_text(json.dumps({**stack, "apiUrl": "http://127.0.0.1:4566/api", "HttpApiUrl": "https://dead.example"}))
    monkeypatch.setenv("ORDER_PROCESSING_STATE_DIR", str(tmp_path))
    return file


def test_a_profile_that_is_gone_keeps_nobody_from_the_local_stack(
    described: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")

    client = find("local").client("sqs")

    assert client.meta.endpoint_url == "http://127.0.0.1:4566"
    client.close()


def test_the_local_api_has_its_own_url(described: Path) -> None:
    assert find("local").api_url == "http://127.0.0.1:4566/api"


def test_stage_local_talks_to_this_machine_only(described: Path) -> None:
    described.write_text(described.read_text().replace("127.0.0.1", "192.0.2.1"))

    with pytest.raises(StackUnavailable, match="is not on this machine; stage local talks to nothing else"):
        find("local")


def test_without_a_local_stack_the_message_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDER_PROCESSING_STATE_DIR", str(tmp_path))

    with pytest.raises(StackUnavailable, match="no local stack is running; start one with: npm start"):
        find("local")


@pytest.mark.parametrize(
    "content",
    ["", '{"endpointUrl": "http://127.0', "[]", "null", '"text"', "{}", "[" * 100_000, b"\xff\xfe"],
    ids=lambda content: repr(content[:20]),
)
def test_half_a_description_is_one_line(described: Path, content: str | bytes) -> None:
    described.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(StackUnavailable, match=r"stack\.json .*; stop npm start, and start it again$"):
        find("local")


@pytest.mark.parametrize("name", ["endpointUrl", "region", "accessKeyId", "secretAccessKey"])
@pytest.mark.parametrize("value", [None, 7])
def test_a_description_without_a_connection_is_one_line(described: Path, name: str, value: object) -> None:
    described.write_text(json.dumps({**json.loads(described.read_text()), name: value}))

    with pytest.raises(StackUnavailable, match=r"^stack\.json describes no stack; stop npm start, and start it again$"):
        find("local")


def test_an_output_that_is_not_there_is_one_line(described: Path) -> None:
    with pytest.raises(StackUnavailable, match=r"^the stack has no output DeadLetterQueueUrl: deploy it again"):
        find("local").outputs["DeadLetterQueueUrl"]


# --- on AWS: in which region, and with whose credentials --------------------------------------------------------------


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The regions that have a stack of stage dev, in CloudFormation's own words."""
    regions: set[str] = set()

    def call(client: Any, _operation: str, parameters: dict[str, str]) -> dict[str, Any]:
        if client.meta.region_name not in regions:
            message = f"Stack with id {parameters['StackName']} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        return {"Stacks": [{"Outputs": [{"OutputKey": "EventBusName", "OutputValue": "bus"}]}]}

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", call)
    return regions


def test_the_default_region_is_the_one_that_a_deploy_takes() -> None:
    assert default_region() == topology.service()["provider"]["region"]


def test_a_region_that_only_a_deploy_knows_has_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in ({"region": "${env:R}"}, {}):
        monkeypatch.setattr(topology, "service", lambda provider=provider: {"provider": provider})
        with pytest.raises(OperatorError, match="name the region with: --region"):
            default_region()


def test_the_notebooks_look_in_the_stage_and_the_region_that_the_environment_names(
    deployed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.add("eu-west-1")
    monkeypatch.setenv("STAGE", "dev")
    with pytest.raises(StackUnavailable, match=default_region()):
        from_environment()
    monkeypatch.setenv("REGION", "eu-west-1")

    found = from_environment()

    assert (found.stage, found.session.region_name) == ("dev", "eu-west-1")


def test_a_stack_is_found_where_it_was_deployed_whatever_the_users_default_region(
    deployed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.add(default_region())
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.setenv(name, "eu-north-1")

    found = find("dev")

    assert found.session.region_name == default_region()
    assert found.outputs["EventBusName"] == "bus"


def test_a_region_that_is_named_is_the_one_that_is_asked(deployed: set[str]) -> None:
    deployed.add("eu-north-1")

    assert find("dev", "eu-north-1").session.region_name == "eu-north-1"
    with pytest.raises(StackUnavailable) as raised:
        find("dev")
    assert str(raised.value) == (
        f"no stack {STACK} in {default_region()}; if it is in another region, name that with --region;"
        " else deploy it with: npm run deploy -- --stage dev"
    )


def test_the_local_stack_is_in_its_own_region(described: Path) -> None:
    assert find("local", "us-east-1").stage == "local"
    with pytest.raises(StackUnavailable, match=r"^the local stack is in us-east-1, not in mars-1; leave out --region$"):
        find("local", "mars-1")


@pytest.mark.parametrize("stage", ["", "a b", "../x", "dev\n", "-x", "é", "x" * 101, "\x1b[2J"])
def test_a_stage_that_can_be_none_is_one_line(stage: str) -> None:
    with pytest.raises(StackUnavailable, match=r"can't be a stage: use letters, digits and hyphens, such as dev$"):
        find(stage)


@pytest.mark.parametrize(
    ("variables", "profile", "message"),
    [
        ({}, None, r"Unable to locate credentials"),
        ({"AWS_PROFILE": "gone"}, None, r"profile \(gone\) could not be found"),
        ({}, "missing", r"profile \(missing\) could not be found"),
        ({"AWS_CONFIG_FILE": __file__}, None, r"Unable to parse config file"),
    ],
)
def test_missing_credentials_are_reported_with_the_region_and_the_local_stage(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], profile: str | None, message: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(StackUnavailable, match=rf"^AWS in mars-1 can't be asked .*{message}.* --stage local$"):
        find("dev", "mars-1", profile)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (refusal("ExpiredToken"), rf"^AWS in mars-1 refuses to show {STACK}: .*ExpiredToken"),
        (refusal("AccessDenied"), rf"^AWS in mars-1 refuses to show {STACK}: .*AccessDenied"),
        (refusal("ValidationError"), rf"^AWS in mars-1 refuses to show {STACK}: .*ValidationError"),
        (
            EndpointConnectionError(endpoint_url="https://x"),
            rf"^AWS in mars-1 can't be asked for {STACK}: ",
        ),
    ],
    ids=["an expired credential", "no permission", "a name that AWS does not like", "no network"],
)
def test_the_error_of_aws_instead_of_the_stack_is_reported(
    monkeypatch: pytest.MonkeyPatch, answer: Exception, message: str
) -> None:
    def call(*_: object, **__: object) -> None:
        raise answer

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", call)

    with pytest.raises(StackUnavailable, match=message):
        find("dev", "mars-1")


@pytest.mark.parametrize(
    ("url", "here"),
    {
        "http://127.0.0.1:4566": True,
        "http://[::1]:4566": True,
        "http://localhost:4566/api": True,
        "http://127.0.0.1.example.com": False,
        "http://127.0.0.1@example.com": False,
        "https://sqs.us-east-1.amazonaws.com": False,
        "127.0.0.1:4566": False,  # without a scheme it names no host
        "": False,
    }.items(),
)
def test_only_a_url_whose_host_is_this_machine_is_loopback(url: str, here: bool) -> None:
    assert is_loopback(url) is here


def test_the_users_proxies_are_bypassed_beside_what_they_bypass_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.setenv("no_proxy", "")

    bypass_proxies()

    assert os.environ["NO_PROXY"] == "127.0.0.1,intranet.example"
    assert os.environ["no_proxy"] == "127.0.0.1,"
