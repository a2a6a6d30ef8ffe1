"""Save a widget as a picture.

A saved widget has no kernel any more, and JupyterLab, GitHub and the site would show an error in its place.
"""

from collections.abc import Mapping
from typing import Any

_VIEW = "application/vnd.jupyter.widget-view+json"


def drop_widgets(notebook: Mapping[str, Any]) -> None:
    """Reduce each widget's output to what a viewer without widgets shows."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(_VIEW, None)


def before_saving(model: Mapping[str, Any], **_: Any) -> None:
    """Drop a notebook's widgets before Jupyter saves it. The open page keeps them."""
    if model["type"] == "notebook":
        drop_widgets(model["content"])
