"""Find the bug: the local stack with one of the simulator's seeded bugs, and a reader who looks for it.

    hunt = bug_hunt.start(level=1)      deploy a bug of this level; with a seed, always the same one
    orders = hunt.traffic()             place orders, and make things go wrong around them; letter → order id
    hunt.hint()                         the next of three hints
    hunt.accuse("Fulfillment", "ships what is cancelled")    the verdict, with the line of evidence
    hunt.reveal()                       the bug, as a diff
    hunt.end()                          deploy the original code, and place an order that proves it

`bug_hunt.kinds()` lists what a function can do wrong. A hunt that is still on ends with Python. A process that was
killed leaves its bug on the stack: `bug_hunt.start(1).end()` removes it.
"""

import atexit
from contextlib import ExitStack
from typing import NamedTuple

from notebooks.bug_hunt.cases import chosen
from notebooks.bug_hunt.deployment import SUSPECTS, DeployedCode
from notebooks.bug_hunt.errors import HuntError
from notebooks.bug_hunt.evidence import KINDS, dead_letters_of, gather, in_the_ledger, line_of_evidence, stored
from notebooks.bug_hunt.traffic import LEVELS, Orders, Shop
from operations.dead_letters import purge
from operations.stack import Stack, from_environment
from tools import topology

__all__ = ["FUNCTIONS", "Accusation", "Hunt", "HuntError", "kinds", "start"]

_PROMISES = {
    1: (
        "each order ends in one final status",
        "its customer is notified once",
        "the parcel that was announced is the one that is stored",
        "each event names the event that caused it",
    ),
    2: (
        "nobody is charged twice",
        "an event that contradicts the order changes nothing",
        "a failed event is retried or kept",
        "the API's responses match what is stored",
    ),
    3: (
        "an order is shipped or cancelled, never both",
        "an order that is open for too long is reconciled",
        "every customer is notified in the end",
    ),
}
FUNCTIONS = [topology.title(name) for name in SUSPECTS]
_running: list["Hunt"] = []


class Text(str):
    """Markdown, shown as plain text where a viewer can't render it."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


class Accusation(NamedTuple):
    """The verdict on an accusation; a notebook shows it as text."""

    right: bool
    hint: str
    """The line of evidence, or what to look at."""

    def __repr__(self) -> str:
        return f"{'✅' if self.right else '🤔'} {self.hint}"

    def _repr_markdown_(self) -> str:
        return repr(self)


def start(level: int, seed: int | None = None) -> "Hunt":
    """Deploy a bug of level 1, 2 or 3 to the local stack, in place of an earlier hunt's bug.

    The same seed always chooses the same bug; without a seed it is a random one. Raises NotOnThisMachine if the stack
    is on AWS.
    """
    if level not in LEVELS:
        raise HuntError(f"there is no level {level}: take 1, 2 or 3")
    stack = from_environment()
    code = DeployedCode(stack)
    while _running:
        _running[0].abandon()
    return Hunt(stack, code, level, seed)


def kinds() -> Text:
    """The names of the functions, and the things that one of them can do wrong."""
    listed = "\n".join(f"- {kind}" for kind in KINDS)
    return Text(f"One of the functions {', '.join(FUNCTIONS)} does one of these things:\n\n{listed}")


class Hunt:
    """One bug on the running stack, until `end`."""

    def __init__(self, stack: Stack, code: DeployedCode, level: int, seed: int | None) -> None:
        self._stack, self._code, self._level, self._seed = stack, code, level, seed
        self._case = chosen(level, seed)
        self._shop = Shop(stack)
        self._orders: Orders | None = None
        self._placed: set[str] = set()
        self._hints = iter(enumerate(self._case.hints, start=1))
        self._undoing = ExitStack()
        self._undoing.callback(_running.remove, self)
        self._undoing.enter_context(self._shop.nothing_reconciled())
        self._undoing.callback(code.restore)
        _running.append(self)
        atexit.register(self._undoing.close)
        code.plant(self._case.bug)

    def __repr__(self) -> str:
        broken = "\n".join(f"- {promise}" for promise in _PROMISES[self._level])
        which = "" if self._seed is None else f", seed {self._seed}"
        return f"**Level {self._level}{which}.** A bug is deployed. One of these promises is broken:\n\n{broken}"

    def _repr_markdown_(self) -> str:
        return repr(self)

    def traffic(self) -> Orders:
        """Place the level's orders, and make things go wrong around them; return when nothing happens any more."""
        self._orders = LEVELS[self._level](self._shop)
        self._placed.update(self._orders.values())
        return self._orders

    def hint(self) -> Text:
        """The next of three hints."""
        number, hint = next(self._hints, (0, "There are no more hints; `hunt.reveal()` shows the bug."))
        return Text(f"**Hint {number} of 3.** {hint}" if number else hint)

    def accuse(self, function: str, kind: str) -> Accusation:
        """Compare the accusation with the evidence and with the bug."""
        if self._orders is None:
            return Accusation(False, "There is no evidence yet: call `hunt.traffic()` first.")
        if function not in FUNCTIONS:
            return Accusation(False, f"Name the function: {', '.join(FUNCTIONS)}.")
        if kind not in KINDS:
            return Accusation(False, "Say what it does wrong, in the words of `bug_hunt.kinds()`.")
        line = line_of_evidence(kind, list(gather(self._stack, self._orders.values())))
        if line is None:
            return Accusation(False, f"No order shows that a function {kind}.")
        if kind != self._case.kind:
            return Accusation(False, f"{line}. That is true, but it is only a consequence. Look for its cause.")
        if function != self._case.function:
            return Accusation(False, f"{line}. The evidence is right, but {function} did not do that. Which one did?")
        return Accusation(True, f"{function} {kind}. {line}.")

    def reveal(self) -> Text:
        """The bug: the function, its fault, the guarantee that it breaks, and the bug's diff."""
        case = self._case
        diff = case.bug.patch.partition("\n\n")[2].rstrip()
        return Text(f"**{case.function} {case.kind}.** Guarantee: {case.bug.guarantee}.\n\n```diff\n{diff}\n```")

    def end(self) -> Text:
        """Deploy the stack's original code, and place an order that proves it.

        The hunt's orders stay as they are, but their dead letters are deleted.
        The Reconciler runs every minute again, and heals the open orders.
        """
        self.abandon()
        order_id = self._shop.order()
        self._shop.until_over(order_id)
        status = stored(self._stack, order_id)["status"]
        charges = sum(row["charges"] for row in in_the_ledger(self._stack, order_id))
        proof = f"order {order_id[:8]} is `{status}`, charged {charges} time{'' if charges == 1 else 's'}"
        if not self._code.is_original() or (status, charges) != ("FULFILLED", 1):
            raise HuntError(f"the original code is not back: {proof}; stop the stack, and start it again")
        return Text(f"✓ the original code is back: {proof}")

    def abandon(self) -> None:
        """Undo what the hunt did to the stack, if that is still to do, and delete the dead letters of its orders."""
        atexit.unregister(self._undoing.close)
        self._undoing.close()
        if letters := dead_letters_of(self._stack, self._placed):
            purge(self._stack, letters)
