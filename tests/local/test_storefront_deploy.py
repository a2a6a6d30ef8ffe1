"""The storefront in a bucket behind CloudFront, deployed to the embedded AWS as it is to AWS."""

import json
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from botocore.exceptions import ClientError

from local.emulator.ports import free_port
from local.emulator.process import emulator
from local.emulator.state import State
from operations.stack import stack_name
from tests.local.embedded_aws import EmbeddedAws, Sls, sls_of
from tools import flow
from tools.checkout import ROOT

WEB = ROOT / "web"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> State:
    return State(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def aws(state: State) -> Iterator[EmbeddedAws]:
    with emulator(state, free_port()) as description:
        yield EmbeddedAws(description, state)


@pytest.fixture(scope="module")
def sls(state: State) -> Sls:
    run = sls_of(state)

    def sls(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return sls


@pytest.fixture(scope="module")
def stack(aws: EmbeddedAws, sls: Sls, state: State) -> dict[str, Any]:
    """What `stack.json` says after a deploy with the storefront."""
    said = sls("deploy", "--param", "storefront=true").stderr
    description: dict[str, Any] = json.loads(state.stack.read_text())
    assert f"The storefront is at {description['WebUrl']}" in said
    return description


def files_of(aws: EmbeddedAws, stack: dict[str, Any]) -> dict[str, Any]:
    """Key → the head of the object."""
    s3, bucket = aws.client("s3"), stack["WebBucketName"]
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: s3.head_object(Bucket=bucket, Key=key) for key in keys}


def test_the_bucket_has_the_files_of_web_with_their_types_and_the_configuration(
    stack: dict[str, Any], aws: EmbeddedAws
) -> None:
    found = files_of(aws, stack)
    files = {path.relative_to(WEB).as_posix() for path in WEB.rglob("*") if path.is_file()}

    assert found.keys() == files | {"config.json"}
    assert {head["CacheControl"] for head in found.values()} == {"no-cache"}
    types = {Path(key).suffix: head["ContentType"].partition(";")[0] for key, head in found.items()}
    assert types == {
        ".html": "text/html",
        ".css": "text/css",
        ".js": "text/javascript",
        ".svg": "image/svg+xml",
        ".json": "application/json",
    }


def test_the_configuration_is_of_the_stack_and_breaks_nothing(stack: dict[str, Any], aws: EmbeddedAws) -> None:
    body = aws.client("s3").get_object(Bucket=stack["WebBucketName"], Key="config.json")["Body"].read()

    assert json.loads(body) == {
        "stage": "local",
        "region": "us-east-1",
        "apiUrl": "/api",
        "cognitoUrl": "https://cognito-idp.us-east-1.amazonaws.com/",
        "userPoolClientId": stack["UserPoolClientId"],
        "breakIt": False,
        "topology": flow.described(),
    }


def test_the_bucket_has_a_name_that_the_right_to_deploy_covers(stack: dict[str, Any]) -> None:
    policy = json.loads((ROOT / "docs" / "deploy-policy.json").read_text())
    [buckets, _] = next(each["Resource"] for each in policy["Statement"] if each["Action"] == "s3:*")

    assert fnmatch(f"arn:aws:s3:::{stack['WebBucketName']}", buckets)


def test_the_bucket_answers_nobody_else(stack: dict[str, Any], aws: EmbeddedAws) -> None:
    assert httpx.get(f"{aws.url}/{stack['WebBucketName']}/index.html").status_code == 403


def test_cloudfront_sends_a_page_to_https_and_refuses_an_api_call_without_it(
    stack: dict[str, Any], aws: EmbeddedAws
) -> None:
    def status(path: str) -> int:
        return httpx.get(aws.url + path, headers={"host": str(urlsplit(stack["WebUrl"]).hostname)}).status_code

    assert (status("/"), status("/api/products")) == (301, 403)


def test_a_file_that_is_gone_from_web_goes_with_the_next_deploy(
    stack: dict[str, Any], aws: EmbeddedAws, sls: Sls
) -> None:
    aws.client("s3").put_object(Bucket=stack["WebBucketName"], Key="old.js", Body=b"")

    sls("deploy", "--param", "storefront=true")

    assert "old.js" not in files_of(aws, stack)
    assert "index.html" in files_of(aws, stack)


def test_a_protected_stack_is_not_removed_and_keeps_its_page_and_its_data(
    stack: dict[str, Any], aws: EmbeddedAws, sls: Sls, state: State
) -> None:
    sls("deploy", "--param", "storefront=true", "--param", "retainData=True")

    refused = sls_of(state)("remove")

    assert refused.returncode == 1
    assert "deletion protection is enabled" in refused.stdout + refused.stderr
    assert "index.html" in files_of(aws, stack)
    with pytest.raises(ClientError, match=r"[Pp]rotect"):
        aws.client("dynamodb").delete_table(TableName=stack["OrdersTableName"])

    sls("deploy", "--param", "storefront=true")  # takes the protection back, so that the next tests may remove it
    [described] = aws.client("cloudformation").describe_stacks(StackName=stack_name("local"))["Stacks"]
    assert described["EnableTerminationProtection"] is False


def test_a_deploy_without_it_takes_it_away(stack: dict[str, Any], aws: EmbeddedAws, sls: Sls) -> None:
    sls("deploy")

    with pytest.raises(ClientError, match=r"NoSuchBucket|404|Not Found"):
        aws.client("s3").head_bucket(Bucket=stack["WebBucketName"])


def test_remove_empties_the_bucket_first_of_older_versions_as_well(
    stack: dict[str, Any], aws: EmbeddedAws, sls: Sls, state: State
) -> None:
    sls("deploy", "--param", "storefront=true")
    s3, bucket = aws.client("s3"), json.loads(state.stack.read_text())["WebBucketName"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        s3.put_object(Bucket=bucket, Key="index.html", Body=b"")
    s3.delete_object(Bucket=bucket, Key="app.js")

    sls("remove")

    assert aws.client("s3").list_buckets()["Buckets"] == []
    assert aws.client("cloudfront").list_distributions()["DistributionList"]["Quantity"] == 0
