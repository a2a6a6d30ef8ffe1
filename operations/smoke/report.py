"""The report: Markdown that can be published. No account id, no address, no secret, and no markup from elsewhere."""

import html
import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from operations.smoke.story import Seen
from operations.smoke.visit import Visit
from operations.streams import printable
from orders import clock
from tools.checkout import ROOT

_MARKS = {"passed": "✓", "failed": "✗", "not tried": "–"}
_PRIVATE = (
    (re.compile(r"[\w.+%'-]+@[\w.-]+"), "(address)"),
    (re.compile(r"https?://\S+"), "(URL)"),
    (re.compile(r"(?<!\d)\d{12}(?!\d)"), "(account)"),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b"), "(key)"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"), "(token)"),
)
_MARKUP = re.compile(r"([\\`*_\[\]|~#])")


def report(visit: Visit, seen: Sequence[Seen]) -> str:
    """The whole document."""
    failed = [each for each in seen if each.result == "failed"]
    where = "AWS" if visit.is_aws else "the embedded AWS, not AWS"
    return "\n".join(
        [
            "# Smoke test",
            "",
            f"**{'Every check passed' if not failed else f'{len(failed)} of {len(seen)} checks failed'}** on {where}.",
            "",
            *_table(("what", "which"), _facts(visit)),
            "",
            "## Checks",
            "",
            *_table(
                ("", "check", "seen", "s"),
                ((_MARKS[each.result], each.title, public(each.text), f"{each.seconds:.1f}") for each in seen),
            ),
            "",
            "## An order's timeline",
            "",
            *_timings(visit),
            "",
        ]
    )


def public(text: str) -> str:
    r"""Data as Markdown that shows it literally, on one line, without private data.

    >>> public("<b>anna@example.com</b> *at* 123456789012")
    '&lt;b&gt;(address)&lt;/b&gt; \\*at\\* (account)'
    """
    for pattern, word in _PRIVATE:
        text = pattern.sub(word, text)
    return _MARKUP.sub(r"\\\1", html.escape(printable(text), quote=False)).replace("@", "&#64;")  # GitHub would notify


def _facts(visit: Visit) -> Iterator[tuple[str, str]]:
    package = json.loads((ROOT / "package.json").read_text())
    yield "date", f"{visit.started:%Y-%m-%d %H:%M} UTC"
    yield "stage, region", f"{public(visit.stack.stage)}, {public(visit.stack.session.region_name)}"
    yield "this checkout", f"{package['version']}{_commit()}"
    yield "osls", package["devDependencies"]["osls"]


def _commit() -> str:
    """The commit, if this is a clone and git is installed."""
    try:
        ran = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or no clone: then there is no commit to name
        return ""
    return f", commit {ran.stdout.strip()}"


def _timings(visit: Visit) -> Iterator[str]:
    """Times since the order was placed, from its audit trail and the order itself."""
    if not (visit.has("approved order") and visit.has("trail of the approved order")):
        yield "There is none: no order was fulfilled."
        return
    order, trail = visit.need("approved order"), visit.need("trail of the approved order")
    moments: dict[str, str] = {}
    for each in trail:
        moments.setdefault(each["eventType"], each["timestamp"])
    moments[f"status {order['statusHistory'][-1]['status']}"] = order["statusHistory"][-1]["at"]
    moments["e-mail accepted"] = order["notification"]["at"]
    yield from _table(("hop", "ms after the order was placed"), _hops(order, moments))


def _hops(order: Mapping[str, Any], moments: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    placed = clock.moment(order["placedAt"])
    for what, at in sorted(moments.items(), key=lambda item: item[1]):
        yield public(what), f"{(clock.moment(at) - placed).total_seconds() * 1000:.0f}"


def _table(heads: Sequence[str], rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
