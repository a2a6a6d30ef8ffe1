"""Who imports whom: the table in docs/architecture.md, held against every import."""

import ast
import re
from pathlib import Path

import pytest

from tools.checkout import ROOT

HEADING = "## Who imports whom\n"


def rules() -> dict[str, set[str]]:
    """Package → the packages that it may import, itself included: the rows of the table."""
    section = (ROOT / "docs" / "architecture.md").read_text().split(HEADING)[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {
        name.strip(" `").replace("/", "."): {
            each.replace("/", ".") for each in [name.strip(" `"), *re.findall(r"`([\w/]+)`", allowed)]
        }
        for name, allowed, *_ in rows
    }


RULES = rules()


def package_of(module: str) -> str | None:
    """The package in the table that a module belongs to, the most exact one; None for libraries."""
    found = [name for name in RULES if module == name or module.startswith(f"{name}.")]
    return max(found, key=len, default=None)


def imports(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it; `from orders import clock` is `orders.clock`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("name", RULES)
def test_a_package_imports_only_what_the_table_allows(name: str) -> None:
    files = [
        file
        for file in (ROOT / name.replace(".", "/")).rglob("*.py")
        if "node_modules" not in file.parts and package_of(module_of(file)) == name
    ]
    assert files
    for file in files:
        reached = {package_of(module) for module in imports(file)} - {None}
        assert reached <= RULES[name], file.relative_to(ROOT)


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_every_file_of_python_is_in_the_table() -> None:
    folders = [each for each in ROOT.iterdir() if each.is_dir() and not each.name.startswith(".")]
    files = [file for folder in folders if folder.name != "node_modules" for file in folder.rglob("*.py")]
    unknown = [str(file) for file in files if "node_modules" not in file.parts and not package_of(module_of(file))]
    assert unknown == []


def test_no_module_of_the_product_imports_in_a_circle() -> None:
    product = [file for folder in ("handlers", "orders") for file in (ROOT / folder).rglob("*.py")]
    names = {module_of(file) for file in product}
    graph = {
        module_of(file): {name for each in imports(file) for name in (each, each.rpartition(".")[0]) if name in names}
        for file in product
    }

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join([*path, module])
        for imported in graph[module]:
            visit(imported, (*path, module))

    for module in graph:
        visit(module, ())
