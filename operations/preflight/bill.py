"""The resources that a deploy creates, and their price in a month without orders."""

import re
from collections.abc import Iterator

from operations.preflight.finding import Finding, passed
from operations.preflight.plan import Plan
from operations.stack import Stack
from tools.checkout import ROOT

_COSTS = ROOT / "docs" / "costs.md"
_IDLE = re.compile(
    r"^## A month without orders\n.*?^\| \*\*sum\*\* [^\n]*\*\*(\d+\.\d\d)\*\* \|$", re.MULTILINE | re.DOTALL
)


def bill(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """The number of resources in serverless.yml for this stage, and the price in docs/costs.md."""
    counts = sorted(plan.kinds().items(), key=lambda item: (-item[1], item[0]))
    yield passed("creates " + ", ".join(f"{count} {kind.removeprefix('AWS::')}" for kind, count in counts))
    yield passed(f"costs about {idle_usd()} USD a month without orders, at us-east-1's list prices (docs/costs.md)")


def idle_usd() -> str:
    """The sum of a month without orders."""
    found = _IDLE.search(_COSTS.read_text())
    assert found, "docs/costs.md has no sum of a month without orders"
    return found[1]
