"""`npm run bench -- [--only PART …] [--quick]`: measure, keep the results, and write docs/performance.md from them.

Each part keeps its results in results/PART.json, so that one can be measured again without the others. What is only
computed, prices and limits, is computed from these with every run.
"""

import argparse
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
from operations.stack import described
from tools.checkout import ROOT
from verification.bench import artefact, cold_start, counts, end_to_end, growth, performance, results, warm_cpu
from verification.bench.machine import machine
from verification.bench.recording import recording

STATE = State(ROOT / ".local" / "bench")


class Bench:
    """What the parts measure with. Each part returns its results."""

    def __init__(self, terminal: Terminal, *, quick: bool) -> None:
        self.terminal = terminal
        self.quick = quick

    @contextmanager
    def shop(self) -> Iterator[counts.Shop]:
        """A stack of its own, deployed by the real `sls deploy`, whose functions' calls are recorded."""
        with stack(STATE, free_port(), step=self.terminal.step) as description:
            deployed = described(description)
            with recording(deployed) as record:
                yield counts.Shop(deployed, record)

    def artefact(self) -> Mapping[str, Any]:
        STATE.folder.mkdir(parents=True, exist_ok=True)
        with self.terminal.step("Building the package for Lambda"):
            return artefact.measure(STATE.folder)

    def cold_start(self) -> Mapping[str, Any]:
        rounds = 3 if self.quick else 25
        return cold_start.measure(*self.packages, rounds=rounds, say=self.terminal.say)

    def warm_cpu(self) -> Mapping[str, Any]:
        rounds, orders = (1, 100) if self.quick else (5, 300)
        return warm_cpu.measure(*self.packages, rounds=rounds, orders=orders, say=self.terminal.say)

    @cached_property
    def packages(self) -> tuple[Path, Path]:
        STATE.folder.mkdir(parents=True, exist_ok=True)
        return cold_start.packages(STATE.folder, self.terminal.step)

    def counts(self) -> Mapping[str, Any]:
        with self.shop() as shop, self.terminal.step("Counting"):
            return counts.measure(shop)

    def end_to_end(self) -> Mapping[str, Any]:
        rounds, share = (1, 0.25) if self.quick else (5, 1)
        folder = STATE.folder / "end_to_end"
        terminal = self.terminal
        return end_to_end.measure(folder, rounds=rounds, share=share, step=terminal.step, say=terminal.say)

    def growth(self) -> Mapping[str, Any]:
        sizes = growth.SIZES[:2] if self.quick else growth.SIZES
        with self.shop() as shop:
            return growth.measure(shop, sizes, say=self.terminal.say)


PARTS: Mapping[str, Callable[[Bench], Mapping[str, Any]]] = {
    "cold_start": Bench.cold_start,
    "warm_cpu": Bench.warm_cpu,
    "end_to_end": Bench.end_to_end,
    "artefact": Bench.artefact,
    "counts": Bench.counts,
    "growth": Bench.growth,
}


def main() -> int:
    arguments = _parser().parse_args()
    return carry_out(lambda: measure(PARTS if arguments.only is None else arguments.only, quick=arguments.quick))


def measure(parts: Iterable[str], *, quick: bool) -> int:
    terminal = Terminal()
    bench = Bench(terminal, quick=quick)
    for name in parts:
        terminal.say(f"[bold]{name}[/]")
        results.keep(name, machine(), PARTS[name](bench))
    for file in performance.write(ROOT / "docs"):
        terminal.say(f"Wrote {file.relative_to(ROOT)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="npm run bench --", description="Measure what an order costs.")
    parser.add_argument(
        "--only", nargs="*", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}; none: write the docs anew"
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, smaller tables")
    return parser


if __name__ == "__main__":
    sys.exit(main())
