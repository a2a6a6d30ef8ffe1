"""The output of `npm start`: animated on a terminal, plain lines elsewhere, such as in a log."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from local.launcher.samples import Sample
from local.terminal.timeline import OrderView, TimelineEntry, awaited, lines
from operations.screen import console as plain_console
from operations.screen import filled
from operations.streams import printable
from orders.money import format_money

_STYLES = {
    "status PLACED": "bold yellow",
    "status PAID": "bold blue",
    "status FULFILLED": "bold green",
    "status PAYMENT_FAILED": "bold red",
    "status CANCELLED": "bold red",
    "status REFUNDED": "bold green",
    "payment voided": "bold green",
    "e-mail sent": "bold magenta",
}
_EXCERPT_LINES = 3
"""The greeting, how the order ended, and what follows: the tracking number of a parcel, for example."""


class Terminal:
    """The output's terminal; by default standard output."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or plain_console(soft_wrap=True)
        self.moves = self.console.file.isatty() and not self.console.is_dumb_terminal
        """Whether a line may be overwritten."""

    def say(self, words: str = "", **data: object) -> None:
        """Print a line; rich's markup applies to the words, and not to the data in their `{places}`."""
        self.console.print(filled(words, **data))

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A context manager around a slow step: prints its name at the start, and its duration in the same line."""
        started = time.monotonic()
        self.console.print(filled("{title} … ", title=title), end="")
        try:
            yield
        except BaseException:
            self.console.print(filled("[red]✗[/]"))
            raise
        self.console.print(filled("[dim]{seconds} s[/]", seconds=f"{time.monotonic() - started:.1f}"))

    @contextmanager
    def timeline(self, sample: Sample, order: Mapping[str, Any]) -> Iterator[Callable[[OrderView], None]]:
        """Show an order's timeline, which grows with each call of the yielded function."""
        self.console.print(heading(sample, order))
        if self.moves:
            with Live(console=self.console, refresh_per_second=10) as live:
                yield lambda evidence: live.update(picture(evidence))
        else:
            printed: set[TimelineEntry] = set()

            def show(evidence: OrderView) -> None:
                for line in lines(evidence):
                    if line not in printed:
                        self.console.print(row(line))
                        printed.add(line)

            yield show

    def emails(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Recipient, subject and sentences of e-mails, without their tables, whose rows are indented."""
        for message in messages:
            to = ", ".join(message["To"])
            self.say("[magenta]✉ to {to}: [/][bold]{subject}[/]", to=to, subject=message["Subject"])
            sentences = [line for line in message["BodyText"].splitlines() if line.strip() and not line.startswith(" ")]
            for line in sentences[:_EXCERPT_LINES]:
                self.say("[dim]  │ [/]{line}", line=line)


def heading(sample: Sample, order: Mapping[str, Any]) -> Text:
    """Two lines: the order's number, as in its e-mail, and the sample's title; the ordered products."""
    return filled(
        "[bold]Order {number}: {title}[/][dim] ({method})[/]\n[dim]{goods}[/]",
        number=order["orderId"][:8].upper(),
        title=sample.title,
        method=order["paymentMethod"],
        goods=goods(order),
    )


def goods(order: Mapping[str, Any]) -> str:
    """`1 × Hand grinder, 2 × Coffee beans, 1 kg for 116.80 EUR`."""
    items = ", ".join(f"{item['quantity']} × {item['name']}" for item in order["items"])
    return f"{items} for {format_money(order['totalAmount'], order['currency'])}"


def row(line: TimelineEntry) -> Text:
    """`    16 ms  PaymentProcessing   OrderPlacedEvent → PaymentCompletedEvent`: 80 columns hold each."""
    row = filled(
        "[dim]{after}  [/][bold]{function}  [/]{cause} → ",
        after=f"{line.milliseconds:>5} ms" if line.is_timed else " " * len("12345 ms"),
        function=f"{line.function:<18}",
        cause=line.cause,
    )
    return row.append(printable(line.outcome), style(line.outcome))


def style(outcome: str) -> str:
    """The colour of an outcome: a status, an event or another."""
    return _STYLES.get(outcome, "cyan")


def picture(evidence: OrderView) -> Group:
    """All rows, and below them the awaited functions."""
    rows = [row(line) for line in lines(evidence)]
    if silent := awaited(evidence):
        return Group(*rows, Spinner("dots", filled("[dim]waiting for {silent}[/]", silent=", ".join(silent))))
    return Group(*rows)
