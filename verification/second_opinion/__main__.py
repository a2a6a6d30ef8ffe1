"""Ask every engine and print a line for each opinion; the exit code is 1 if one of them objects."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from local.launcher.command import carry_out
from verification.second_opinion import (
    compiled,
    database,
    deploying,
    engines,
    patterns,
    permissions,
    planted,
    policies,
    template,
)
from verification.second_opinion.opinion import Opinion


def ask_all() -> int:
    engines.install()
    with ThreadPoolExecutor(1) as beside:  # sls compiles while the tests run
        compiling = beside.submit(compiled.variants)
        recorded: list[database.Recorded] = []
        objected = objects(lambda: database.ask(recorded))
        variants = compiling.result()
    for ask in (
        lambda: permissions.ask(variants, recorded),
        lambda: policies.ask(variants),
        lambda: patterns.ask(variants),
        lambda: template.ask(variants),
        lambda: deploying.ask(variants),
        planted.ask,
    ):
        objected |= objects(ask)
    return int(objected)


def objects(ask: Callable[[], Opinion]) -> bool:
    """Ask one engine and print its opinion; True if it objects."""
    started = time.monotonic()
    opinion = ask()
    print(opinion.report(time.monotonic() - started), flush=True)
    return bool(opinion.objections)


if __name__ == "__main__":
    sys.exit(carry_out(ask_all))
