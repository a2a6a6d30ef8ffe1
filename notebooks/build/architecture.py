"""Draw the pictures of docs/: the system, the system with a part highlighted, and the sequence of one order.

python -m notebooks.build.architecture
"""

import json
import sys

from notebooks.build.focus import PICTURES, Focus
from notebooks.build.layout import WORKFLOW, consumed, system
from notebooks.build.shapes import Box, picture
from notebooks.pictures import sequence
from tools import flow, topology
from tools.checkout import ROOT

EVIDENCE = ROOT / "tests" / "local" / "recorded" / "approved.json"
"""The recorded order of an approved card."""


def architecture(focus: Focus | None = None) -> str:
    """The SVG of the system; with a focus, its parts are highlighted and the others pale."""
    title = f"How an order is processed: {focus.about}" if focus else "How an order is processed"
    return picture(system(), title, _description(focus), focus.parts if focus else ())


def documents() -> dict[str, str]:
    """File name in docs/ → its content."""
    recorded = json.loads(EVIDENCE.read_text())
    return {
        "architecture.svg": architecture(),
        "sequence.svg": sequence(recorded["events"], recorded["order"]).svg + "\n",
        **{f"pictures/{name}.svg": architecture(focus) for name, focus in PICTURES.items()},
    }


def _description(focus: Focus | None) -> str:
    if focus:
        return f"Highlighted: {', '.join(_names(focus))}. The other parts of the system are pale."
    functions = " ".join(_sentence(name) for name in topology.functions() if consumed(name))
    return (
        "A customer's request reaches OrderService through API Gateway. OrderService stores the order in the table"
        f" Orders and publishes its event on the EventBridge event bus. {functions} The Reconciler republishes the"
        " event of an order that has been open for too long. Dead-letter queues keep what failed after all retries."
        f" The numbers 1 to {max(WORKFLOW.values())} are the steps of the main workflow."
    )


def _names(focus: Focus) -> list[str]:
    """The titles of the boxes that are highlighted."""
    return [shape.title for shape in system() if isinstance(shape, Box) and shape.part in focus.parts]


def _sentence(function: str) -> str:
    published = flow.publishes(function)
    what = "every event" if function in flow.recorders() else _listed(consumed(function), "and")
    result = f" and publishes {_listed(published, 'or')}" if published else ""
    return f"{topology.title(function)} consumes {what}{result}."


def _listed(events: list[str], word: str) -> str:
    *first, last = events
    return f"{', '.join(first)} {word} {last}" if first else last


def main() -> int:
    for name, content in documents().items():
        file = ROOT / "docs" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
