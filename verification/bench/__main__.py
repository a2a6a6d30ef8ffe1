"""`npm run bench -- [--only PART …] [--quick]`: measure, keep the results, and write the documents' tables.

Each part keeps its results in results/PART.json, so that one can be measured again without the others. Prices and
limits are computed from these with every run.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from local.emulator.ports import free_port
from local.emulator.state import State
from local.launcher.command import carry_out
from local.launcher.running import stack
from local.terminal.output import Terminal
from operations.command import Parser
from operations.stack import described
from tools.checkout import ROOT
from verification.bench import artefact, cold_start, counts, growth, results, warm_cpu
from verification.bench.recording import recording

STATE = State(ROOT / ".local" / "bench")


class Bench:
    """What the parts measure with. Each part returns its results."""

    def __init__(self, terminal: Terminal, *, quick: bool) -> None:
        STATE.folder.mkdir(parents=True, exist_ok=True)
        self.terminal = terminal
        self.quick = quick

    @contextmanager
    def metered(self) -> Iterator[counts.MeteredStack]:
        """A stack of its own, deployed by the real `sls deploy`, whose functions' calls are recorded."""
        with stack(STATE, free_port(), step=self.terminal.step) as description:
            deployed = described(description)
            with recording(deployed) as record:
                yield counts.MeteredStack(deployed, record)

    @cached_property
    def packages(self) -> tuple[Path, Path]:
        return cold_start.packages(STATE.folder, self.terminal.step)

    def cold_start(self) -> Mapping[str, Any]:
        return cold_start.measure(*self.packages, rounds=3 if self.quick else 25, say=self.terminal.say)

    def warm_cpu(self) -> Mapping[str, Any]:
        rounds, orders = (1, 100) if self.quick else (5, 300)
        return warm_cpu.measure(*self.packages, rounds=rounds, orders=orders, say=self.terminal.say)

    def artefact(self) -> Mapping[str, Any]:
        with self.terminal.step("Building the package for Lambda"):
            return artefact.weigh(artefact.build("dev", STATE.folder / "artefact.zip"))

    def counts(self) -> Mapping[str, Any]:
        with self.metered() as metered, self.terminal.step("Counting"):
            return counts.measure(metered)

    def growth(self) -> Mapping[str, Any]:
        with self.metered() as metered:
            return growth.measure(metered, growth.SIZES[:2] if self.quick else growth.SIZES, say=self.terminal.say)


PARTS: Mapping[str, Callable[[Bench], Mapping[str, Any]]] = {
    "cold_start": Bench.cold_start,
    "warm_cpu": Bench.warm_cpu,
    "artefact": Bench.artefact,
    "counts": Bench.counts,
    "growth": Bench.growth,
}


def main() -> int:
    parser = Parser(prog="npm run bench --", description="Measure what an order costs.")
    help_ = f"of {', '.join(PARTS)}; none: measure nothing, only write the documents"
    parser.add_argument("--only", nargs="*", choices=PARTS, metavar="PART", help=help_)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, smaller tables")
    arguments = parser.parse_args()
    return carry_out(lambda: measure(PARTS if arguments.only is None else arguments.only, quick=arguments.quick))


def measure(parts: Iterable[str], *, quick: bool) -> int:
    terminal = Terminal()
    bench = Bench(terminal, quick=quick)
    for name in parts:
        terminal.say(f"[bold]{name}[/]")
        results.keep(name, results.machine(), PARTS[name](bench))
    return write_documents()


def write_documents() -> int:
    """Run the documents' cog blocks; cog says which documents changed. The exit code is cog's."""
    from verification.bench import figures  # here: it reads the results when it is imported

    command = [sys.executable, "-m", "cogapp", "-r", "--verbosity=1", *map(str, figures.DOCUMENTS)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
