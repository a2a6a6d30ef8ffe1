"""Where the operator's commands find the stack of a stage."""

import json
from pathlib import Path

import pytest

from operations.stack import StackUnavailable, find


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


def test_the_local_api_answers_at_its_own_url(described: Path) -> None:
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


def test_without_a_region_or_credentials_the_message_names_what_is_missing_and_the_local_stage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

    with pytest.raises(StackUnavailable, match=r"order-processing-dev: You must specify a region\. .* --stage local"):
        find("dev")
