"""Builds the notebooks from their text sources, and checks that what is committed is what they say.

    npm run notebooks:build [-- 1 4]     run each, alone, on a stack of its own, and write it with its outputs
    npm run notebooks:check [-- 1 4]     run each the same way, with the labs' solutions; write nothing

A source is a Python file with `# %%` cells (jupytext's percent format) in notebooks/build/sources/. A lab is a cell
with the tag `exercise`; its solution is the Python in the folded text below it.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from local.emulator.state import STATE_DIR_VARIABLE, State
from local.launcher.running import stack
from notebooks.build import excerpts

FOLDER = Path(__file__).parent.parent
SOURCES = Path(__file__).parent / "sources"
_CELL_SECONDS = 300
_SOLUTION = re.compile(r"<details>.*?```python\n(.*?)```", re.DOTALL)
_EXERCISE = re.compile(r'tour\.check\("([^"]+)"')


_REFUSED = 'from notebooks import labs; assert not labs.verdicts["{}"].right, "the blank was accepted"'
_ACCEPTED = 'assert labs.verdicts["{0}"].right, labs.verdicts["{0}"].hint'


def sources(numbers: Iterable[int] = ()) -> list[Path]:
    """The sources with these numbers, or all, in order."""
    wanted = set(numbers)
    return [file for file in sorted(SOURCES.glob("[0-9]*.py")) if not wanted or int(file.name[:2]) in wanted]


def target(source: Path) -> Path:
    return FOLDER / f"{source.stem}.ipynb"


def read(source: Path) -> NotebookNode:
    """The source as a notebook without outputs."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def with_solutions(notebook: NotebookNode) -> NotebookNode:
    """A copy in which each lab is followed by its solution: the blank must be refused, the solution accepted."""
    copy = nbformat.from_dict(notebook)
    cells = []
    for number, cell in enumerate(notebook.cells):
        cells.append(cell)
        if "exercise" not in cell.metadata.get("tags", []):
            continue
        [name] = set(_EXERCISE.findall(cell.source))
        [solution] = _SOLUTION.findall(notebook.cells[number + 1].source)
        cells.append(nbformat.v4.new_code_cell(_REFUSED.format(name)))
        cells.append(nbformat.v4.new_code_cell(solution))
        cells.append(nbformat.v4.new_code_cell(_ACCEPTED.format(name)))
    copy.cells = cells
    return copy


def execute(notebook: NotebookNode) -> None:
    """Run all cells in a new kernel, on a new stack. Raises CellExecutionError."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        state = State(Path(folder))
        with stack(state, port):
            os.environ[STATE_DIR_VARIABLE] = str(state.folder)
            try:
                NotebookClient(
                    notebook,
                    timeout=_CELL_SECONDS,
                    kernel_name="python3",
                    resources={"metadata": {"path": str(FOLDER)}},
                    record_timing=False,
                ).execute(stderr=subprocess.DEVNULL)  # the kernel's own log; errors of cells come as messages
            finally:
                del os.environ[STATE_DIR_VARIABLE]


def differs(source: Path) -> str | None:
    """What is wrong with the committed notebook, if its cells are not those of its source."""
    if not target(source).exists():
        return "is not built"
    wanted, there = read(source), nbformat.read(target(source), as_version=4)
    if [_text(cell) for cell in wanted.cells] != [_text(cell) for cell in there.cells]:
        return "differs from its source"
    if any(cell.cell_type == "code" and cell.execution_count is None for cell in there.cells):
        return "has no outputs"
    if stale := excerpts.stale(there):
        return f"shows code that has changed: {', '.join(stale)}"
    return None


def _text(cell: Any) -> tuple[str, str]:
    return cell.cell_type, cell.source.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("numbers", nargs="*", type=int, help="default: all")
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    failed = []
    for source in sources(arguments.numbers):
        started = time.monotonic()
        print(f"{source.stem} … ", end="", flush=True)
        notebook = read(source)
        problem = differs(source) if arguments.check else None
        try:
            execute(with_solutions(notebook) if arguments.check else notebook)
        except CellExecutionError as error:
            problem = f"fails:\n{error}"
        if not arguments.check and not problem:
            nbformat.write(notebook, target(source))
        print(f"{problem or 'ok'}, {time.monotonic() - started:.0f} s", flush=True)
        failed += [source.stem] if problem else []
    if failed:
        print(f"Not good: {', '.join(failed)}. Made anew by: npm run notebooks:build", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
