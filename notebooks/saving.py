"""What a notebook keeps of a widget when it is saved: its picture.

A saved view has no kernel any more, and in its place JupyterLab, GitHub and the site would show an error.
"""

from collections.abc import Mapping
from typing import Any

_VIEW = "application/vnd.jupyter.widget-view+json"


def drop_widgets(notebook: Mapping[str, Any]) -> None:
    """Leave each output of a widget as what a viewer without widgets shows."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(_VIEW, None)


def before_saving(model: Mapping[str, Any], **_: Any) -> None:
    """Jupyter calls it with whatever it saves. The page that is open keeps its widgets."""
    if model["type"] == "notebook":
        drop_widgets(model["content"])
