"""The guard of tools/plugin.js, in the real `sls`: nobody deploys to the wrong place."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.tools.checkout import Checkout, longest_stage

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example"}
SENDER = ("--param", "senderEmail=a@example.com")
TOO_LONG = "l" * (longest_stage() + 1)
CHARACTERS = "use small letters, digits and hyphens, with a letter first."
NOT_RUNNING = "Stage local needs the embedded AWS, which is not running: npm start"


class Listener:
    """An HTTP server on loopback that notes each request, and is healthy like MiniStack."""

    def __init__(self) -> None:
        noted = self.requests = list[tuple[str, dict[str, str]]]()

        class Note(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                noted.append((self.path, dict(self.headers)))
                self.send_response(200 if self.path == "/_ministack/health" else 400)
                self.end_headers()

            do_POST = do_CONNECT = do_PUT = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Note)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def aws() -> Iterator[Listener]:
    """Where every request to AWS ends up, because it is the proxy."""
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def embedded_aws() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def describe_emulator(checkout: Checkout, url: str) -> None:
    (checkout.folder / ".local").mkdir()
    description = {"endpointUrl": url, "region": "us-east-1", "accessKeyId": "LOCALKEY", "secretAccessKey": "local"}
    (checkout.folder / ".local" / "emulator.json").write_text(json.dumps(description))


ENDPOINT = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
TO_AWS = "Stage dev goes to AWS, but {} is set: unset it, or use --stage local."


@pytest.mark.parametrize(
    ("command", "environment", "line"),
    [
        *(
            (command, ENDPOINT, TO_AWS.format("AWS_ENDPOINT_URL"))
            for command in (
                ["deploy", *SENDER],
                ["deploy", "function", "-f", "fulfillment", *SENDER],
                ["info"],
                ["invoke", "-f", "fulfillment"],
                ["logs", "-f", "fulfillment"],
                ["remove", "--stage", "dev"],
                ["rollback", "-t", "1"],
            )
        ),
        (["info"], {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, TO_AWS.format("AWS_ENDPOINT_URL_S3")),
        *(
            (
                [command, "--stage", "prod", *more],
                {},
                "Stage prod needs the address that its e-mails come from: "
                f"npm run {command} -- --stage prod --param senderEmail=you@example.com",
            )
            for command in ("deploy", "package")
            for more in ([], ["--param", "retainData=false"])
        ),
        *(([command, "--stage", "local"], {}, NOT_RUNNING) for command in ("deploy", "info", "remove")),
        *(
            (
                [command, "--param", "reconcileAfterSeconds=0"],
                {},
                '--param reconcileAfterSeconds: "0" is not a whole number from 1 to 3600 (seconds).',
            )
            for command in ("deploy", "package", "info", "print")
        ),
        (["package", "--param="], {}, "--param : write --param name=value."),
        (
            ["deploy", "--param", "storefront=true", "--param=storefront=false", *SENDER],
            {},
            "--param storefront is given twice: give it once.",
        ),
        (["package", "--stage", "Feature_X", *SENDER], {}, f"--stage Feature_X: {CHARACTERS}"),
        (["deploy", "-s", "a/b", *SENDER], {}, f"--stage a/b: {CHARACTERS}"),
        (["remove", "--stage=Local"], {}, f"--stage Local: {CHARACTERS}"),
        (
            ["deploy", "--stage", TOO_LONG, *SENDER],
            {},
            f"--stage {TOO_LONG}: {len(TOO_LONG)} characters are too many for the names on AWS;"
            f" use at most {len(TOO_LONG) - 1}.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_refusal_is_one_line_and_nothing_is_done(
    command: list[str], environment: dict[str, str], line: str, checkout: Checkout, aws: Listener
) -> None:
    refused = checkout.run("sls", *command, environment={**KEYS, "HTTPS_PROXY": aws.url, **environment})

    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", f"{line}\n")
    assert not (checkout.folder / ".serverless").exists()
    assert aws.requests == []


@pytest.mark.parametrize("command", [["deploy", *SENDER], ["info"], ["remove", "--stage", "dev"]], ids=" ".join)
@pytest.mark.parametrize(
    ("profile", "line"),
    [
        ([], "There are no AWS credentials: aws configure, or aws sso login; "),
        (["--aws-profile", "nobody"], 'AWS profile "nobody" doesn\'t seem to be configured: '),
    ],
)
def test_missing_credentials_are_said_before_anything_is_packaged(
    checkout: Checkout, command: list[str], profile: list[str], line: str
) -> None:
    nobody = {"HOME": str(checkout.folder), "AWS_EC2_METADATA_DISABLED": "true"}

    refused = checkout.run("sls", *command, *profile, environment=nobody)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(line)
    assert refused.stderr.count("\n") == 1
    assert not (checkout.folder / ".serverless").exists()


def test_what_serverless_yml_says_of_a_stage_is_judged_like_the_command_line(checkout: Checkout) -> None:
    file = checkout.folder / "serverless.yml"
    file.write_text(file.read_text().replace("    retainData: true", "    retainData: yes please"))

    refused = checkout.run("sls", "info", "--stage", "prod")

    assert refused.stderr == 'serverless.yml, params.prod.retainData: "yes please" is not true or false.\n'


@pytest.mark.parametrize("stage", [["--stage="], ["--stage", "dev", "-s", "prod"]])
def test_a_stage_that_osls_itself_refuses_is_made_nowhere(stage: list[str], checkout: Checkout) -> None:
    assert checkout.run("sls", "package", *stage, *SENDER).returncode == 1
    assert not (checkout.folder / ".serverless").exists()


def test_any_other_stage_goes_to_aws(checkout: Checkout, aws: Listener) -> None:
    checkout.run("sls", "info", environment={**KEYS, "HTTPS_PROXY": aws.url, "SLS_AWS_REQUEST_MAX_RETRIES": "0"})

    assert "cloudformation.us-east-1.amazonaws.com:443" in [path for path, _ in aws.requests]


def test_stage_local_needs_a_stack_that_answers(checkout: Checkout) -> None:
    describe_emulator(checkout, "http://127.0.0.1:9")

    refused = checkout.run("sls", "remove", "--stage", "local")

    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", f"{NOT_RUNNING}\n")


def test_stage_local_stays_on_this_machine(checkout: Checkout) -> None:
    describe_emulator(checkout, "http://192.0.2.1:4566")

    refused = checkout.run("sls", "deploy", "--stage", "local")

    assert refused.returncode == 1
    assert refused.stderr.startswith("Stage local stays on this machine, but ")
    assert len(refused.stderr.splitlines()) == 1


def test_stage_local_is_in_one_region(checkout: Checkout, embedded_aws: Listener) -> None:
    describe_emulator(checkout, embedded_aws.url)

    refused = checkout.run("sls", "remove", "--stage", "local", "--region", "eu-central-1")

    assert refused.stderr == "Stage local is in us-east-1: leave out --region eu-central-1.\n"
    assert embedded_aws.requests == []


def test_stage_local_finds_the_embedded_aws_whatever_the_shell_says(
    checkout: Checkout, aws: Listener, embedded_aws: Listener
) -> None:
    describe_emulator(checkout, embedded_aws.url)
    misleading = {
        **KEYS,
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_ENDPOINT_URL_CLOUDFORMATION": aws.url,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_PROFILE": "work",
        "AWS_REGION": "eu-central-1",
        "HTTP_PROXY": aws.url,
        "https_proxy": aws.url,
    }

    checkout.run("sls", "info", "--stage", "local", environment=misleading)

    [health, *calls] = embedded_aws.requests
    assert health[0] == "/_ministack/health"
    assert calls
    assert all("Credential=LOCALKEY/" in headers["authorization"] for _, headers in calls)
    assert all("/us-east-1/" in headers["authorization"] for _, headers in calls)
    assert aws.requests == []


def test_a_missing_virtual_environment_is_one_line(checkout: Checkout) -> None:
    (checkout.folder / ".venv" / "bin").unlink()

    refused = checkout.run("sls", "package", *SENDER)

    assert refused.returncode == 1
    assert refused.stderr == "The package is built by .venv, which is missing: npm run package makes it.\n"


def test_a_package_that_can_not_be_built_says_why(checkout: Checkout) -> None:
    Path(checkout.folder, "tools", "build.py").write_text("import sys; sys.exit('There is no wheel of it.')")

    failed = checkout.run("sls", "package", *SENDER)

    assert failed.returncode == 1
    assert "There is no wheel of it." in failed.stdout
    assert "Traceback" not in failed.stdout + failed.stderr


def test_a_second_run_waits_for_the_first(checkout: Checkout) -> None:
    lock = checkout.folder / ".venv" / "sls.lock"
    lock.symlink_to(str(os.getpid()))

    with checkout.start("sls", "package", "--stage", "local") as second:
        assert second.stderr
        assert second.stderr.readline() == "Waiting for another sls in this checkout\n"
        assert not (checkout.folder / ".serverless").exists()

        lock.unlink()
        second.communicate()

    assert second.returncode == 0
    assert (checkout.folder / ".serverless" / "order-processing.zip").is_file()
    assert not lock.is_symlink()


def test_a_run_that_was_killed_holds_up_nobody(checkout: Checkout) -> None:
    with checkout.start("true") as dead:
        dead.communicate()
    (checkout.folder / ".venv" / "sls.lock").symlink_to(str(dead.pid))

    assert checkout.run("sls", "package", "--stage", "local").returncode == 0


def test_runs_side_by_side_all_succeed(checkout: Checkout) -> None:
    with ThreadPoolExecutor() as pool:
        runs = pool.map(
            lambda stage: checkout.run("sls", "package", "--stage", stage, *SENDER), ("local", "dev", "prod")
        )

    assert [run.returncode for run in runs] == [0, 0, 0]


def test_packaging_stage_local_needs_no_running_stack(checkout: Checkout) -> None:
    packaged = checkout.run("sls", "package", "--stage", "local")

    assert packaged.returncode == 0, packaged.stderr
    assert (checkout.folder / ".serverless" / "order-processing.zip").is_file()
