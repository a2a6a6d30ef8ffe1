"""The hunt: a seeded bug is deployed, shows in the evidence, is graded by it, and is gone afterwards.

tests/notebooks/test_every_bug_of_the_hunt.py does the same with all twelve.
"""

import io
import re
import zipfile
from collections import Counter
from itertools import count

import boto3
import pytest

from notebooks import bug_hunt
from notebooks.bug_hunt.cases import CASES, Case, chosen
from notebooks.bug_hunt.deployment import DeployedCode, with_bug
from notebooks.bug_hunt.errors import NotOnThisMachine
from notebooks.bug_hunt.evidence import KINDS
from operations.stack import Outputs, Stack
from tests.notebooks.hunting import faults_after_traffic, hunt_for
from tools import topology
from tools.checkout import ROOT

[REPLACES] = [case for case in CASES if case.kind == "replaces a stored result"]


def named(case: Case) -> str:
    return case.bug.name


@pytest.fixture(scope="module")
def package() -> bytes:
    """The sources as tools/build.py packs them, each with its bytecode."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for folder in ("handlers", "orders"):
            for file in (ROOT / folder).rglob("*.py"):
                name = file.relative_to(ROOT)
                package.writestr(str(name), file.read_bytes())
                package.writestr(str(name.parent / "__pycache__" / f"{name.stem}.cpython-313.pyc"), b"bytecode")
    return buffer.getvalue()


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_package_with_a_bug_has_the_patched_source_and_no_bytecode_of_it(case: Case, package: bytes) -> None:
    before, after = (zipfile.ZipFile(io.BytesIO(each)) for each in (package, with_bug(package, case.bug)))
    changed = {name for name in after.namelist() if after.read(name) != before.read(name)}
    gone = set(before.namelist()) - set(after.namelist())

    assert changed == set(re.findall(r"^\+\+\+ b/(\S+)", case.bug.patch, re.MULTILINE))
    assert {re.sub(r"__pycache__/(\w+)\.cpython-313\.pyc", r"\1.py", name) for name in gone} == changed


@pytest.mark.parametrize("endpoint_url", [None, "https://lambda.us-east-1.amazonaws.com"])
def test_no_bug_is_deployed_to_aws(endpoint_url: str | None) -> None:
    on_aws = Stack("dev", boto3.Session(region_name="us-east-1"), endpoint_url, Outputs())

    with pytest.raises(NotOnThisMachine, match=r"^order-processing-dev is on AWS, .*: unset STAGE$"):
        DeployedCode(on_aws)


def test_each_level_has_four_bugs_with_a_function_and_a_kind_of_their_own() -> None:
    assert Counter(case.level for case in CASES) == {1: 4, 2: 4, 3: 4}
    assert sorted(case.kind for case in CASES) == sorted(KINDS)
    assert {case.function for case in CASES} <= {topology.title(name) for name in topology.functions()}


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_first_two_hints_do_not_name_the_function(case: Case) -> None:
    assert case.function not in " ".join(case.hints[:2])


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_seed_chooses_the_same_bug_each_time_and_some_seed_chooses_each_bug(case: Case) -> None:
    seed = next(each for each in count() if chosen(case.level, each) is case)

    assert [chosen(case.level, seed) for _ in range(3)] == [case] * 3


def test_there_is_no_level_four() -> None:
    with pytest.raises(bug_hunt.HuntError, match="take 1, 2 or 3"):
        bug_hunt.start(4)


def test_the_bug_shows_in_the_evidence_is_graded_by_it_and_is_gone_after_the_end(stack: Stack) -> None:
    hunt = hunt_for(REPLACES)

    assert not DeployedCode(stack).is_original()
    blank = hunt.accuse("?", "?")
    assert (blank.right, blank.hint) == (False, f"Name the function: {', '.join(bug_hunt.FUNCTIONS)}.")
    unheard_of = hunt.accuse("Fulfillment", "is slow")
    assert (unheard_of.right, "bug_hunt.kinds()" in unheard_of.hint) == (False, True)
    unproved = hunt.accuse("Fulfillment", "ships what is cancelled")
    assert (unproved.right, unproved.hint) == (False, "No order shows that a function ships what is cancelled.")
    somebody_else = hunt.accuse("OrderStatusUpdater", REPLACES.kind)
    assert (somebody_else.right, "OrderStatusUpdater did not do that" in somebody_else.hint) == (False, True)
    right = hunt.accuse(REPLACES.function, REPLACES.kind)
    assert right.right
    assert re.search(
        r"Order [0-9a-f]{8}: FulfillmentCompletedEvent named the parcel NW\w+; the order now has NW", right.hint
    )
    assert [hunt.hint()[:15] for _ in range(4)] == [f"**Hint {n} of 3.**"[:15] for n in (1, 2, 3)] + ["There are no mo"]
    assert '+            "SET #fulfillment = :fulfillment",' in hunt.reveal()

    assert "charged 1 time" in hunt.end()
    assert DeployedCode(stack).is_original()
    assert faults_after_traffic(stack, 1) == {}


def test_an_accusation_without_orders_is_refused_and_the_next_hunt_ends_this_one(stack: Stack) -> None:
    first = bug_hunt.start(1, seed=1)
    assert "hunt.traffic()" in first.accuse("Notification", "notifies the customer twice").hint

    second = bug_hunt.start(1, seed=2)
    second.abandon()

    assert DeployedCode(stack).is_original()
    assert reconciler_runs_each_minute(stack)


def reconciler_runs_each_minute(stack: Stack) -> bool:
    events, functions = stack.client("events"), stack.client("lambda")
    arn = functions.get_function_configuration(FunctionName=stack.function("reconciler"))["FunctionArn"]
    [rule] = events.list_rule_names_by_target(TargetArn=arn)["RuleNames"]
    return bool(events.describe_rule(Name=rule)["State"] == "ENABLED")
