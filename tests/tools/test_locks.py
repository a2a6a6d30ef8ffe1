"""The locks: every package with its hashes, one version in all of them, and nothing of the machine that made them."""

import json
import re
from pathlib import Path

import pytest

from tools.checkout import ROOT

LOCKS = sorted((ROOT / "tools" / "locks").glob("*.txt"))

NPM_LOCKS = [
    ROOT / folder / "package-lock.json" for folder in (".", "tools/asyncapi", "verification/second_opinion/engines")
]

APART = re.findall(r"^const APART = \['(\w+)'\];", (ROOT / "tools" / "setup.mjs").read_text(), re.MULTILINE)
"""The group with an environment of its own."""


def requirements(lock: Path) -> list[str]:
    """The logical lines: `boto3==1.43.106 --hash=sha256:… --hash=sha256:…`."""
    lines = (line for line in lock.read_text().splitlines() if not line.startswith("#"))
    return [re.sub(r" +", " ", line) for line in "\n".join(lines).replace("\\\n", "").splitlines()]


def versions(lock: Path) -> dict[str, set[str]]:
    pins = [line.split(" ")[0].split("==") for line in requirements(lock)]
    return {name: {version for other, version in pins if other == name} for name, _ in pins}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_each_package_is_pinned_with_hashes_and_comes_from_wherever_the_user_says(lock: Path) -> None:
    for line in requirements(lock):
        assert re.fullmatch(r"[a-z0-9-]+==\S+( ; [^#]+?)?( --hash=sha256:[0-9a-f]{64})+", line), line


def test_the_functions_lock_has_no_markers() -> None:
    """pip would judge them by the building machine, not by Lambda."""
    [runtime] = [lock for lock in LOCKS if lock.stem == "runtime"]
    assert [line for line in requirements(runtime) if ";" in line] == []


def test_one_version_of_each_package_is_in_all_locks_and_what_contradicts_them_is_set_apart() -> None:
    """The groups share one environment, but for those that tools/setup.mjs gives one of their own."""
    shared: dict[str, set[str]] = {}
    for lock in LOCKS:
        if lock.stem not in APART:
            assert all(shared.setdefault(name, found) == found for name, found in versions(lock).items()), lock.stem

    assert APART
    for lock in LOCKS:
        if lock.stem in APART:
            assert any(shared.get(name, found) != found for name, found in versions(lock).items()), lock.stem


@pytest.mark.parametrize("lock", NPM_LOCKS, ids=lambda lock: lock.parent.name)
def test_npm_s_packages_are_pinned_with_hashes_and_come_from_npm_s_configured_registry(lock: Path) -> None:
    wanted = json.loads(lock.with_name("package.json").read_text())
    packages = json.loads(lock.read_text())["packages"]

    assert packages.pop("").get("dependencies") == wanted.get("dependencies")
    for version in (wanted.get("dependencies") or wanted["devDependencies"]).values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert package["integrity"].startswith("sha512-"), name


@pytest.mark.parametrize("lock", NPM_LOCKS, ids=lambda lock: lock.parent.name)
def test_what_is_under_the_agpl_is_a_tool_of_the_second_opinion_alone(lock: Path) -> None:
    packages = json.loads(lock.read_text())["packages"].items()
    agpl = {name for name, package in packages if package.get("license", "").startswith("AGPL")}

    assert all(name.startswith("node_modules/@cloud-copilot/") for name in agpl)
    assert bool(agpl) == (lock.parent.name == "engines")
