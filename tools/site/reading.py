"""While Sphinx reads a page: leave out what is for tools alone; no picture without its text, none from elsewhere."""

import re
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

_COG = re.compile(r"<!-- \[\[\[(?:cog|end).*?-->\n?", re.DOTALL)
"""What writes a table, and where it ends. The table stays."""

_TITLE = "{http://www.w3.org/2000/svg}title"
_WITHOUT_WORDS = "Plot of the cell above"


def leave_out_cog(_app: Sphinx, _docname: str, source: list[str]) -> None:
    source[0] = _COG.sub("", source[0])


class PicturesHaveWords(SphinxTransform):  # type: ignore[misc]
    """The alternative text of a notebook's picture is its `text/plain`, else the title inside of it."""

    default_priority = 500

    def apply(self, **_: Any) -> None:
        for bundle in self.document.findall(lambda node: _is(node, "nb_element", "mime_bundle")):
            texts = bundle.findall(lambda node: _is(node, "mime_type", "text/plain"))
            plain = " ".join(text.astext() for text in texts)
            says_something = plain and not plain.startswith("<")  # as in <Figure size 800x300 with 1 Axes>
            for image in bundle.findall(nodes.image):
                if not image.get("alt"):
                    image["alt"] = plain if says_something else self._title(image) or _WITHOUT_WORDS

    def _title(self, image: nodes.image) -> str | None:
        if not image["uri"].endswith(".svg"):
            return None
        _, file = self.env.relfn2path(image["uri"], self.env.docname)
        return ElementTree.parse(file).getroot().findtext(_TITLE)


class NoPicturesFromElsewhere(SphinxTransform):  # type: ignore[misc]
    """A picture of another site, such as a badge, becomes its text: a page of ours asks nobody for anything."""

    default_priority = 500

    def apply(self, **_: Any) -> None:
        for image in [*self.document.findall(nodes.image)]:
            if image["uri"].startswith("http"):
                image.replace_self(nodes.Text(image["alt"]))


def _is(node: nodes.Node, attribute: str, value: str) -> bool:
    return isinstance(node, nodes.container) and node.get(attribute) == value


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", leave_out_cog)
    app.add_transform(PicturesHaveWords)
    app.add_transform(NoPicturesFromElsewhere)
    return {"parallel_read_safe": True}
