"""What GitHub runs: nothing on AWS unless somebody wants it, no stored keys, and only commands that there are."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.tools.checkout import longest_stage
from tools.checkout import ROOT

FOLDER = ROOT / ".github" / "workflows"
SCRIPTS = json.loads((ROOT / "package.json").read_text())["scripts"]
AWS = (FOLDER / "aws.yml").read_text()


def workflow(name: str) -> dict[Any, Any]:
    return yaml.safe_load((FOLDER / name).read_text())  # type: ignore[no-any-return]


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


JOBS = workflow("aws.yml")["jobs"]


@pytest.mark.parametrize("name", JOBS)
def test_nothing_runs_on_aws_without_a_role_and_nothing_of_a_fork_ever_does(name: str) -> None:
    condition = JOBS[name]["if"]

    assert condition.startswith("vars.AWS_ROLE_ARN != '' && ")
    assert "github.event.pull_request.head.repo.full_name == github.repository" in condition
    assert set(workflow("aws.yml")[True]) == {"workflow_dispatch", "pull_request"}  # YAML reads `on` as a boolean


@pytest.mark.parametrize("name", JOBS)
def test_github_s_token_is_exchanged_for_credentials_and_no_key_is_stored(name: str) -> None:
    [login] = [step["with"] for step in JOBS[name]["steps"] if "configure-aws-credentials" in step.get("uses", "")]

    assert workflow("aws.yml")["permissions"] == {"contents": "read", "id-token": "write"}
    assert login["role-to-assume"] == "${{ vars.AWS_ROLE_ARN }}"
    assert set(login) == {"role-to-assume", "aws-region", "mask-aws-account-id"}
    assert set(re.findall(r"secrets\.\w+", AWS)) == {"secrets.AWS_SENDER_EMAIL"}


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yml")), ids=lambda file: file.name)
def test_each_action_has_a_version_the_same_in_all_workflows(file: Any) -> None:
    everywhere = {
        action
        for each in FOLDER.glob("*.yml")
        for step in steps(each.name)
        for action in re.findall(r"^\S+@v\d+$", step.get("uses", ""))
    }

    for step in steps(file.name):
        if "uses" in step:
            assert step["uses"] in everywhere
    assert len({action.partition("@")[0] for action in everywhere}) == len(everywhere)


def test_a_stage_is_removed_whatever_became_of_it() -> None:
    """One by hand at the end of its own job; one of a pull request when that is closed."""
    [by_hand] = [step for step in JOBS["stage"]["steps"] if "npm run remove" in step.get("run", "")]
    [closed] = [step for step in JOBS["remove"]["steps"] if "npm run remove" in step.get("run", "")]

    assert by_hand["if"] == "always() && github.event_name == 'workflow_dispatch'"
    assert by_hand == JOBS["stage"]["steps"][-1]
    assert "if" not in closed
    assert "github.event.action == 'closed'" in JOBS["remove"]["if"]
    assert workflow("aws.yml")["concurrency"]["cancel-in-progress"] is False


@pytest.mark.parametrize("number", ["pr-2147483647", f"ci-{2**63}"])
def test_each_name_of_a_stage_is_one_that_aws_can_make(number: str) -> None:
    code = (ROOT / "tools" / "stage.js").read_text()
    [pattern] = re.findall(r"!/(.*)/\.test\(stage\)", code)

    assert number.partition("-")[0] in re.findall(r"format\('(\w+)-\{0\}'", AWS)
    assert len(number) <= longest_stage()
    assert re.fullmatch(pattern, number)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yml")), ids=lambda file: file.name)
def test_what_a_step_runs_is_a_command_of_ours_and_takes_nothing_from_an_event(file: Any) -> None:
    for step in steps(file.name):
        line = step.get("run", "")
        assert "${{" not in line, "what an event says would be a part of the script"
        if command := re.match(r"npm run (\S+)", line):
            assert command[1] in SCRIPTS
        else:
            assert re.match(r"$|bash \.ci/run$|npx --yes \S+@\d|cat smoke\.md >> ", line)


def test_the_site_is_published_from_main_alone_and_nothing_of_a_fork_ever_is() -> None:
    site = workflow("site.yml")
    build, publish = site["jobs"]["build"], site["jobs"]["publish"]

    assert site[True] == {"push": {"branches": ["main"]}, "workflow_dispatch": None}
    assert build["if"].startswith("github.ref == 'refs/heads/main' && ")
    assert publish["needs"] == "build"
    assert [step.get("run") for step in build["steps"] if "uses" not in step] == ["npm run docs -- --build"]


def test_only_the_job_that_runs_no_code_of_ours_may_publish() -> None:
    site = workflow("site.yml")

    assert site["permissions"] == {"contents": "read"}
    assert "permissions" not in site["jobs"]["build"]
    assert site["jobs"]["publish"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert [step["uses"].partition("@")[0] for step in site["jobs"]["publish"]["steps"]] == ["actions/deploy-pages"]


def test_all_commands_mean_the_same_stage_and_region() -> None:
    for step in steps("aws.yml"):
        if step.get("run", "").startswith("npm"):
            assert '-- --stage "$STAGE" --region "$REGION"' in step["run"]
