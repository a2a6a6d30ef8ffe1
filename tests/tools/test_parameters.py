"""What tools/parameters.js lets through: each parameter of serverless.yml, within what AWS and the code take."""

import json
import re
import subprocess
from typing import Any

import botocore.session
import pytest
from pydantic import ValidationError

from orders.config import Config
from tools import topology
from tools.checkout import ROOT

IN_SERVERLESS_YML = topology.service()["params"]


def in_node(expression: str, *values: Any) -> Any:
    """What a JavaScript expression gives, with `p` for tools/parameters.js and `v` for the values."""
    script = (
        f"const p = require('./tools/parameters.js'), v = JSON.parse(process.argv[1]); JSON.stringify({expression})"
    )
    ran = subprocess.run(["node", "-p", script, json.dumps(values)], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, Any]]:
    return in_node("p.PARAMETERS")  # type: ignore[no-any-return]


def test_the_parameters_are_those_of_serverless_yml(table: dict[str, Any]) -> None:
    assert list(table) == list(IN_SERVERLESS_YML["default"])


@pytest.mark.parametrize("stage", IN_SERVERLESS_YML)
def test_what_serverless_yml_says_passes(stage: str) -> None:
    read = in_node("p.readParameters([], v[0], v[1])", IN_SERVERLESS_YML, stage)

    said = {**IN_SERVERLESS_YML["default"], **IN_SERVERLESS_YML[stage]}
    assert read == {name: str(value).lower() if value in (True, False) else str(value) for name, value in said.items()}


def test_the_command_line_comes_before_the_stage_and_the_stage_before_all_stages() -> None:
    params = {"default": {"throttleRate": 1, "throttleBurst": 1, "logLevel": "INFO"}, "prod": {"throttleRate": 2}}

    read = in_node("p.readParameters(v[0], v[1], 'prod')", ["logLevel=WARN"], params)

    assert read == {"throttleRate": "2", "throttleBurst": "1", "logLevel": "WARN"}


def test_osls_gets_each_value_as_it_was_read() -> None:
    words = ["sls", "deploy", "--param", "storefront=True", "--stage", "prod", "--param=retainData=FALSE", "x=True"]

    given = in_node("p.asRead(v[0], v[1])", words, {"storefront": "true", "retainData": "false"})

    assert given == [
        "sls",
        "deploy",
        "--param",
        "storefront=true",
        "--stage",
        "prod",
        "--param=retainData=false",
        "x=True",
    ]


def refused(*given: str) -> str:
    script = "require('./tools/parameters.js').readParameters(JSON.parse(process.argv[1]), {}, 'dev')"
    ran = subprocess.run(["node", "-e", script, json.dumps(given)], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1
    [line] = ran.stderr.splitlines()
    return line


ADDRESS = "a bare address, like orders@example.com: ASCII, with no name before it"
WHOLE = "a whole number from 1 to 3600 (seconds)"
BUDGET = "a whole number of at least 0 (US dollars; 0 for no budget)"


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        *(("reconcileAfterSeconds", value, WHOLE) for value in ("-1", "abc", "1.5", "1e3", "5 ", "007", "3601")),
        ("notificationConcurrency", "1", "a whole number from 2 to 1000 (invocations at once)"),
        ("archiveRetentionInDays", "2147483648", "a whole number of at least 0 (days; 0 keeps the events for good)"),
        ("storefront", "yes", "true or false"),
        ("storefront", "1", "true or false"),
        ("lambdaLogLevel", "info", "one of DEBUG, INFO, WARN"),
        *(("senderEmail", value, ADDRESS) for value in ("nobody", "a@b@example.com", "a@localhost")),
        ("alarmEmail", "Shop <a@example.com>", ADDRESS),
        *(("monthlyBudgetUsd", value, BUDGET) for value in ("-1", "9.50", "2147483648", "$50")),
        *(
            ("senderEmail", value, ADDRESS)
            for value in ("Shop <a@example.com>", "\u00e4@example.com", "a@example.com\nb")
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_does(name: str, value: str, takes: str) -> None:
    assert refused(f"{name}={value}") == f"--param {name}: {json.dumps(value, ensure_ascii=False)} is not {takes}."


@pytest.mark.parametrize("given", ["storefront", "storefront=", "=true", "=storefront=true", ""])
def test_what_names_nothing_or_says_nothing_is_refused(given: str) -> None:
    assert refused(given) == f"--param {given}: write --param name=value."


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("reconcileAfter", " Did you mean reconcileAfterSeconds?"),
        ("StoreFront", " Did you mean storefront?"),
        ("storefront ", " Did you mean storefront?"),
        ("senderEmial", " Did you mean senderEmail?"),
        ("notificationAtempts", " Did you mean notificationAttempts?"),
        ("reconcileMaxOrders", ""),
        ("email", ""),
        ("toString", ""),
    ],
)
def test_a_name_that_there_is_not_is_refused_with_those_that_there_are(name: str, hint: str) -> None:
    there_are = ", ".join(IN_SERVERLESS_YML["default"])
    assert refused(f"{name}=5") == f"--param {name}: there is no such parameter.{hint} There are {there_are}."


def test_a_parameter_is_given_once_or_not_at_all() -> None:
    assert refused("storefront=true", "storefront=true") == "--param storefront is given twice: give it once."


def test_a_budget_without_anybody_to_tell_is_refused() -> None:
    assert refused("monthlyBudgetUsd=50") == (
        "monthlyBudgetUsd needs an address to notify: --param alarmEmail=you@example.com"
    )


@pytest.mark.parametrize("params", [{"monthlyBudgetUsd": 50}, {}])
def test_the_address_that_a_budget_mails_may_be_in_serverless_yml_as_well(params: dict[str, int]) -> None:
    given = ["monthlyBudgetUsd=50"] if not params else []
    default = {"alarmEmail": "ops@example.com", "monthlyBudgetUsd": 0}

    read = in_node("p.readParameters(v[0], {default: v[1], prod: v[2]}, 'prod')", given, default, params)

    assert read == {"alarmEmail": "ops@example.com", "monthlyBudgetUsd": "50"}


@pytest.mark.parametrize(("value", "given"), [("", False), ("0", False), ("50", True), ("a@example.com", True)])
def test_a_value_is_given_if_it_is_neither_empty_nor_none(value: str, given: bool) -> None:
    assert in_node("p.isGiven(v[0])", value) is given


# --- AWS's documented ranges, by its own models and by osls -----------------------------------------------------------


def shape(service: str, name: str) -> dict[str, Any]:
    return dict(botocore.session.get_session().get_service_model(service).shape_for(name).metadata)


def test_numbers_are_within_what_aws_takes(table: dict[str, Any]) -> None:
    concurrency, retention = table["notificationConcurrency"], table["archiveRetentionInDays"]
    assert {"min": concurrency["least"], "max": concurrency["most"]} == shape("lambda", "MaximumConcurrency")
    assert retention["least"] == shape("events", "RetentionDays")["min"]
    assert retention["most"] == 2**31 - 1  # botocore's type `integer`


def test_attempts_are_as_many_as_a_redrive_policy_takes(table: dict[str, Any]) -> None:
    """SQS, Amazon SQS dead-letter queues: "maxReceiveCount … 1 to 1,000". No model of botocore says it."""
    assert (table["notificationAttempts"]["least"], table["notificationAttempts"]["most"]) == (1, 1000)


def test_log_levels_are_those_of_lambda_but_for_the_one_that_the_logger_fails_on(table: dict[str, Any]) -> None:
    assert table["lambdaLogLevel"]["values"] == shape("lambda", "SystemLogLevel")["enum"]
    assert ["TRACE", *table["logLevel"]["values"], "FATAL"] == shape("lambda", "ApplicationLogLevel")["enum"]


def test_logs_are_kept_for_as_long_as_osls_and_cloudwatch_know(table: dict[str, Any]) -> None:
    provider = (ROOT / "node_modules" / "osls" / "lib" / "plugins" / "aws" / "provider.js").read_text()
    [known] = re.findall(r"awsLogRetentionInDays: \{.*?enum: \[(.*?)\]", provider, re.DOTALL)
    assert table["logRetentionInDays"]["values"] == re.findall(r"\d+", known)


# --- the functions' own configuration ---------------------------------------------------------------------------------

VALID = {str(field.alias): "1" for field in Config.model_fields.values()}


@pytest.mark.parametrize("name", ["reconcileAfterSeconds", "reconcileConcurrency"])
def test_the_functions_start_with_each_number_that_passes_and_not_with_one_less(
    name: str, table: dict[str, Any]
) -> None:
    variable = re.sub("([A-Z])", r"_\1", name).upper()
    assert topology.service()["provider"]["environment"][variable] == f"${{param:{name}}}"
    for number in (table[name]["least"], table[name]["most"]):
        Config.model_validate({**VALID, variable: str(number)})
    with pytest.raises(ValidationError, match=variable):
        Config.model_validate({**VALID, variable: str(table[name]["least"] - 1)})
