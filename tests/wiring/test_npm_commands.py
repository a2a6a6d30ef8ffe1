"""Each npm command installs what it imports: it may be the first one in a fresh clone."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path

import pytest

from tools.checkout import ROOT

LOCKS = ROOT / "tools" / "locks"
DISTRIBUTIONS = {"PIL": ["pillow"], **packages_distributions()}
"""Of what is installed here. Those of the notebooks and the browser need not be: of one with another name we say it."""

IN_NOTEBOOKS = ROOT / "notebooks"
"""Where a notebook runs, and imports from."""

APART = "browser"
"""The folder of tests that `npm test` leaves out and whose packages are not those of `npm test`."""

STANDARD = sys.stdlib_module_names | {"pip"}
"""Of Python itself, and what it puts into each virtual environment."""


def commands() -> dict[str, tuple[list[str], list[Path]]]:
    """npm script → its groups, and the Python files that it starts with."""
    scripts = json.loads((ROOT / "package.json").read_text())["scripts"]
    found = {}
    for name, script in scripts.items():
        groups, _, command = script.removeprefix("exec node tools/setup.mjs ").partition("-- python ")
        if command:
            found[name] = (groups.split(), list(_started(command.split())))
    for name in ("notebooks:build", "notebooks:check"):
        found[name][1].extend((IN_NOTEBOOKS / "build" / "sources").glob("*.py"))
    build = ROOT / "tools" / "build.py"  # tools/plugin.js runs it
    found["deploy"][1].append(build)
    found["package"] = ([], [build])
    return found


def _started(words: list[str]) -> Iterator[Path]:
    if words[0] != "-m":
        yield ROOT / words[0]
    elif words[1] != "pytest":
        yield from [*files_of(words[1]), *files_of(f"{words[1]}.__main__")]
    else:
        named = [ROOT / word for word in words[2:] if word.startswith("tests/")]
        for folder in named or [ROOT / "tests"]:
            yield from (file for file in folder.rglob("*.py") if named or APART not in file.parts)


def files_of(module: str) -> list[Path]:
    """The file of a module of ours, and those of the packages that it is in; none where it is no module of ours."""
    parts = module.split(".")
    candidates = [ROOT.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    candidates += [ROOT.joinpath(*parts).with_suffix(".py")]
    return [file for file in candidates if file.is_file()]


@cache
def imports(file: Path) -> frozenset[str]:
    """The modules that a file imports anywhere in it, or starts as a program with `-m`."""
    found: set[str] = set()
    nodes: list[ast.AST] = [ast.parse(file.read_text())]
    for node in nodes:
        match node:
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                continue
            case ast.Import(names=names):
                found |= {each.name for each in names}
            case ast.ImportFrom(module=str(module), names=names):
                found |= {module, *(f"{module}.{each.name}" for each in names)}
            case ast.List(elts=words):
                values = [str(word.value) if isinstance(word, ast.Constant) else "" for word in words]
                found |= {f"{after}.__main__" for before, after in pairwise(values) if before == "-m" and after}
        nodes.extend(ast.iter_child_nodes(node))
    return frozenset(found)


def packages(starts: list[Path]) -> set[str]:
    """Top-level modules that the files may import, directly or through each other, without ours and Python's."""
    files, found = list(dict.fromkeys(starts)), set()
    for file in files:
        for module in imports(file):
            files.extend(each for each in files_of(module) if each not in files)
            found.add(module.partition(".")[0])
    ours = {top for top in found if (ROOT / top).exists() or (IN_NOTEBOOKS / f"{top}.py").exists()}
    return found - ours - STANDARD


def installed(groups: list[str]) -> set[str]:
    locks = [(LOCKS / f"{group}.txt").read_text() for group in groups if (LOCKS / f"{group}.txt").exists()]
    return {name for lock in locks for name in re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)}


def distributions(package: str) -> set[str]:
    return {re.sub(r"[-_.]+", "-", name).lower() for name in DISTRIBUTIONS.get(package, [package])}


def test_help_has_a_sentence_for_each_command_and_for_no_other() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    sentences = package["scripts-info"]
    assert list(sentences) == list(package["scripts"])
    assert all(re.fullmatch(r"[a-z].{10,90}[^.]", each) for each in sentences.values()), "one line, without a full stop"

    shown = subprocess.run(("npm", "run", "-s", "help"), cwd=ROOT, capture_output=True, text=True, check=True).stdout

    listed = re.findall(r"^npm (?:run )?(\S+) +(.*)$", shown, re.MULTILINE)
    assert listed == [*sentences.items()]


@pytest.mark.parametrize("command", commands())
def test_a_command_installs_what_it_imports(command: str) -> None:
    groups, starts = commands()[command]
    assert starts

    assert {each for each in packages(starts) if not distributions(each) & installed(groups)} == set()


def test_what_a_command_reaches_is_found() -> None:
    """Else the test above would hold of anything."""
    for command, package in (("fuzz", "ministack"), ("bench", "yaml"), ("test", "moto"), ("simulate", "moto")):
        assert package in packages(commands()[command][1]), command
