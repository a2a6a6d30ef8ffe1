"""Each npm command installs what it imports: it may be the first one in a fresh clone."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path

import pytest

from tools.checkout import ROOT

LOCKS = ROOT / "tools" / "locks"
DISTRIBUTIONS = packages_distributions()
"""Of what is installed here; those of the notebooks and the browser need not be."""

IN_NOTEBOOKS = ROOT / "notebooks"
"""Where a notebook runs, and imports from."""

APART = "browser"
"""The folder of tests that `npm test` leaves out and whose packages are not those of `npm test`."""

STANDARD = sys.stdlib_module_names
Function = ast.FunctionDef | ast.AsyncFunctionDef


def commands() -> dict[str, tuple[list[str], list[Path]]]:
    """npm script → its groups, and the Python files that it starts with."""
    scripts = json.loads((ROOT / "package.json").read_text())["scripts"]
    found = {}
    for name, script in scripts.items():
        groups, _, command = script.removeprefix("exec node tools/setup.mjs ").partition("-- python ")
        if command:
            found[name] = (groups.split(), list(_started(command.split())))
    for name in ("notebooks:build", "notebooks:check"):
        found[name][1].extend((IN_NOTEBOOKS / "sources").glob("*.py"))
    build = ROOT / "tools" / "build.py"  # tools/plugin.js runs it
    found["deploy"][1].append(build)
    found["package"] = ([], [build])
    return found


def _started(words: list[str]) -> Iterator[Path]:
    if words[0] != "-m":
        yield ROOT / words[0]
    elif words[1] != "pytest":
        yield from files_of(words[1], as_program=True)
    else:
        named = [ROOT / word for word in words[2:] if word.startswith("tests/")]
        for folder in named or [ROOT / "tests"]:
            yield from (file for file in folder.rglob("*.py") if named or APART not in file.parts)


def files_of(module: str, *, as_program: bool = False) -> list[Path]:
    """The file of a module of ours, and those of the packages that it is in; none where it is no module of ours."""
    parts = module.split(".")
    candidates = [ROOT.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    candidates += [ROOT.joinpath(*parts).with_suffix(".py")]
    candidates += [ROOT.joinpath(*parts, "__main__.py")] if as_program else []
    return [file for file in candidates if file.is_file()]


class Reached:
    """What a command may run, seen generously.

    A function counts as called where its own file has its name, or where any file reached imports that name or has an
    attribute of it.
    """

    def __init__(self, starts: list[Path]) -> None:
        self.packages: set[str] = set()
        """The names, at the top, of the modules that are not ours and not Python's."""
        self._files: set[Path] = set()
        self._names: set[str] = set()
        self._names_in: set[tuple[Path, str]] = set()
        self._functions: list[tuple[Path, Function]] = []
        for file in starts:
            self._add(file)
        while called := [each for each in self._functions if self._is_called(*each)]:
            self._functions = [each for each in self._functions if each not in called]
            for each in called:
                self._look_into(*each)

    def _add(self, file: Path) -> None:
        if file not in self._files:
            self._files.add(file)
            self._look_into(file, ast.parse(file.read_text()))

    def _is_called(self, file: Path, function: Function) -> bool:
        """What has a decorator is called by it, what Python or pytest knows by its name is called by them."""
        known = function.decorator_list or re.match("__|test_", function.name)
        return bool(known or function.name in self._names or (file, function.name) in self._names_in)

    def _look_into(self, file: Path, code: ast.AST) -> None:
        for node in ast.iter_child_nodes(code):
            if isinstance(node, Function):
                self._functions.append((file, node))
                continue
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                continue
            if isinstance(node, ast.Name):
                self._names_in.add((file, node.id))
            elif isinstance(node, ast.Attribute):
                self._names.add(node.attr)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    self._import(alias.name)
            elif isinstance(node, ast.ImportFrom):
                self._import(node.module or "")
                for alias in node.names:
                    self._names.add(alias.name)
                    self._import(f"{node.module}.{alias.name}")
            elif isinstance(node, ast.List):
                for option, module in pairwise(map(ast.unparse, node.elts)):
                    if option == "'-m'":  # a program that it starts
                        for started in files_of(module.strip("'"), as_program=True):
                            self._add(started)
            self._look_into(file, node)

    def _import(self, module: str) -> None:
        for file in files_of(module):
            self._add(file)
        top = module.partition(".")[0]
        if not any(path.exists() for path in (ROOT / top, IN_NOTEBOOKS / f"{top}.py")) and top not in STANDARD:
            self.packages.add(top)


def installed(groups: list[str]) -> set[str]:
    locks = [(LOCKS / f"{group}.txt").read_text() for group in groups]
    return {name for lock in locks for name in re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)}


def distributions(package: str) -> set[str]:
    return {re.sub(r"[-_.]+", "-", name).lower() for name in DISTRIBUTIONS.get(package, [package])}


@pytest.mark.parametrize("command", commands())
def test_a_command_installs_what_it_imports(command: str) -> None:
    groups, starts = commands()[command]
    assert starts

    packages = Reached(starts).packages

    assert {each for each in packages if not distributions(each) & installed(groups)} == set()


def test_what_a_command_reaches_is_found() -> None:
    """Else the test above would hold of anything."""
    for command, package in (("fuzz", "ministack"), ("bench", "yaml"), ("test", "moto"), ("simulate", "moto")):
        assert package in Reached(commands()[command][1]).packages, command
