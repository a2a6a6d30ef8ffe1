"""The lessons: their sources, how one is run on a new stack, and whether what is committed is what its source says.

A source is a Python file with `# %%` cells (jupytext's percent format) in notebooks/build/sources/. A lab is a cell
with the tag `exercise`; its solution is the Python in the folded text below it.
"""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from local.emulator.ports import free_port
from local.emulator.state import STATE_DIR_VARIABLE, State
from local.launcher.running import stack
from notebooks.build import excerpts
from notebooks.saving import drop_widgets

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


@contextmanager
def new_stack() -> Iterator[Path]:
    """A new stack; yields the folder that describes it."""
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        state = State(Path(folder))
        with stack(state, free_port()):
            yield state.folder


def execute(notebook: NotebookNode, stack_folder: Path) -> None:
    """Run all cells in a new kernel, on the stack that the folder describes. Raises CellExecutionError."""
    NotebookClient(
        notebook,
        timeout=_CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(FOLDER)}},
        record_timing=False,
        store_widget_state=False,
    ).execute(  # the kernel's own log goes nowhere; errors of cells come as messages
        stderr=subprocess.DEVNULL, env={**os.environ, STATE_DIR_VARIABLE: str(stack_folder)}
    )


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


def _code(cell: Any) -> str:
    return cell.source.strip() if cell.cell_type == "code" else ""


def _text(cell: Any) -> tuple[str, str]:
    return cell.cell_type, cell.source.strip()


def build(source: Path) -> str | None:
    """Run a lesson on a new stack, and write the notebook with its outputs; what went wrong."""
    notebook = read(source)
    with new_stack() as folder:
        if problem := _failure(notebook, folder):
            return problem
    drop_widgets(notebook)
    nbformat.write(notebook, target(source))
    return None


def update_texts(source: Path) -> str | None:
    """Write the source's texts into the built notebook and keep its outputs; refused if the code has changed."""
    wanted, there = read(source), nbformat.read(target(source), as_version=4)
    if [_code(cell) for cell in wanted.cells] != [_code(cell) for cell in there.cells]:
        return "its code has changed: build it"
    for cell, built in zip(wanted.cells, there.cells, strict=True):
        built.source = cell.source
    nbformat.write(there, target(source))
    return None


def check(source: Path) -> str | None:
    """Run a lesson on a new stack, with the solutions of its labs; what went wrong, or is out of date."""
    if problem := differs(source):
        return problem
    with new_stack() as folder:
        return solve(source, folder)


def solve(source: Path, stack_folder: Path) -> str | None:
    """Run a lesson with the solutions of its labs on this stack; what went wrong."""
    return _failure(with_solutions(read(source)), stack_folder)


def check_cheat_sheet() -> str | None:
    """Run the code of the cheat sheet, top to bottom; what went wrong."""
    blocks = re.findall(r"```python\n(.*?)```", (FOLDER / "cheat_sheet.md").read_text(), re.DOTALL)
    with new_stack() as folder:
        return _failure(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(block) for block in blocks]), folder)


def _failure(notebook: NotebookNode, stack_folder: Path) -> str | None:
    try:
        execute(notebook, stack_folder)
    except CellExecutionError as error:
        return f"fails:\n{error}"
    return None


def reported(name: str, work: Callable[[], str | None]) -> list[str]:
    """Do the work and say how it went; the name, if something is wrong."""
    started = time.monotonic()
    problem = work()
    print(f"{name}: {problem or 'ok'}, {time.monotonic() - started:.0f} s", flush=True)
    return [name] if problem else []
