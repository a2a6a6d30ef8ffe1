"""`npm run bench -- [--only PART …] [--quick]`: measure, keep the results, and write the documents' tables.

Each part keeps its results in results/PART.json, so that one can be measured again without the others. Prices and
limits are computed from these with every run.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from local.launcher.command import carry_out
from local.terminal.output import Terminal
from operations.command import Parser
from tools.checkout import ROOT
from verification.bench import artefact, cold_start, counts, growth, results, warm_cpu

FOLDER = ROOT / ".local" / "bench"
PARTS = ("cold_start", "warm_cpu", "artefact", "counts", "growth")


def main() -> int:
    parser = Parser(prog="npm run bench --", description="Measure the cost of an order.")
    help_ = f"of {', '.join(PARTS)}; none: measure nothing, only write the documents"
    parser.add_argument("--only", nargs="*", choices=PARTS, metavar="PART", help=help_)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, smaller tables")
    arguments = parser.parse_args()
    return carry_out(lambda: measure(PARTS if arguments.only is None else arguments.only, quick=arguments.quick))


def measure(parts: Iterable[str], *, quick: bool) -> int:
    terminal = Terminal()
    measurements = _measurements(terminal, quick=quick)
    for name in parts:
        terminal.say(f"[bold]{name}[/]")
        results.keep(name, results.machine(), measurements[name]())
    return write_documents()


def _measurements(terminal: Terminal, *, quick: bool) -> Mapping[str, Callable[[], Mapping[str, Any]]]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    say = terminal.say

    @cache
    def unpacked() -> tuple[Path, Path]:
        with terminal.step("Building the package for this machine, and installing the packages of the naive handlers"):
            return artefact.unpack(FOLDER)

    return {
        "cold_start": lambda: cold_start.measure(*unpacked(), rounds=3 if quick else 25, say=say),
        "warm_cpu": lambda: warm_cpu.measure(
            *unpacked(), rounds=1 if quick else 5, orders=100 if quick else 300, say=say
        ),
        "artefact": lambda: artefact.weigh(artefact.build("dev", FOLDER / "artefact.zip")),
        "counts": counts.measure,
        "growth": lambda: growth.measure(growth.SIZES[:2] if quick else growth.SIZES, say=say),
    }


def write_documents() -> int:
    """Run the documents' cog blocks; cog says which documents changed. The exit code is cog's."""
    from verification.bench import figures  # here: it reads the results when it is imported

    command = [sys.executable, "-m", "cogapp", "-r", "--verbosity=1", *map(str, figures.DOCUMENTS)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
