"""What `npm test` leaves out for its time runs in CI all the same."""

import tomllib

from tools.checkout import ROOT

CI = (ROOT / ".ci" / "run").read_text()
LONG = (ROOT / ".ci" / "long").read_text()


def test_ci_runs_the_main_job_to_its_end() -> None:
    """It exits with 1 where a sample order does not end as it should; tests/local/test_ending.py shows that."""
    assert "npm start -- --once\n" in CI


def test_ci_builds_the_site_which_fails_on_a_dead_link() -> None:
    """tests/browser/test_site.py shows that it does."""
    assert "npm run docs -- --build\n" in CI


def test_ci_runs_every_file_that_npm_test_leaves_out() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    left_out = [option.removeprefix("--ignore=") for option in options if option.startswith("--ignore=")]
    by_a_command = {"tests/browser": "npm run browser", "tests/verification/second_opinion": "npm run second-opinion"}

    assert len(left_out) > len(by_a_command)
    assert [path for path in left_out if by_a_command.get(path, path) not in CI + LONG] == []
    assert [path for path in left_out if not (ROOT / path).exists()] == []
