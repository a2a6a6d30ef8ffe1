"""Links to files and folders of the checkout: each leads to a page that shows the file, or lists the folder."""

import ast
import posixpath
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from tools.checkout import ROOT

INSTEAD = {"docs/openapi.json": "api", "notebooks": "notebooks/README"}
"""What has a page of its own that says more."""

_UNLISTED = re.compile(r"\.|__pycache__$|node_modules$")
_HREF = re.compile(r'href="([^":#?]+)"')
_CODE = re.compile(r"`([^`]+)`")
_COMMENT = re.compile(r"(?:#|//|/\*)\s*(\w.*?)(?:\s*\*/)?$")

LINKED = "linked"
"""Among a page's metadata: the paths that it links to."""


class LinksToSources(SphinxTransform):  # type: ignore[misc]
    """Let the links to what is no page of Sphinx lead to the pages below: those of Markdown, and those in HTML."""

    default_priority = 500

    def apply(self, **_: Any) -> None:
        for link in [*self.document.findall(_is_of_no_page)]:
            if uri := self._uri(link["reftarget"]):
                link.replace_self(nodes.reference("", "", *link.children, refuri=uri, internal=True))
        for html in [*self.document.findall(nodes.raw)]:
            text = _HREF.sub(lambda match: f'href="{self._uri(match[1]) or match[1]}"', html.astext())
            html.replace_self(nodes.raw("", text, format=html["format"], classes=html["classes"]))

    def _uri(self, target: str) -> str | None:
        """Where the page of a path is, seen from this page; None where there is none."""
        here = PurePosixPath(self.env.docname).parent
        path = posixpath.normpath(here / target)
        if path.startswith("..") or not is_shown(path):
            return None
        self.env.metadata[self.env.docname].setdefault(LINKED, []).append(path)
        return posixpath.relpath(page_of(path) + ".html", here)


def _is_of_no_page(node: nodes.Node) -> bool:
    return isinstance(node, addnodes.download_reference | addnodes.pending_xref) and not node.get("refdomain")


def is_shown(path: str) -> bool:
    """Whether there is a page for the path: for folders, and for files that Pygments knows."""
    return path in INSTEAD or (ROOT / path).is_dir() or ((ROOT / path).is_file() and _lexer(path) is not None)


def _lexer(path: str) -> Any:
    try:
        return get_lexer_for_filename(path)
    except ClassNotFound:
        return get_lexer_for_filename("a.txt") if not Path(path).suffix else None


def page_of(path: str) -> str:
    return INSTEAD.get(path) or (f"{path}/index" if (ROOT / path).is_dir() else path)


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The pages for all that is linked, and for all in a linked folder."""
    linked = {path for metadata in app.env.metadata.values() for path in metadata.get(LINKED, ())}
    paths = sorted(linked - INSTEAD.keys())
    shown = set(paths)
    for path in paths:
        parent = posixpath.dirname(path)
        up = f"{page_of(parent)}.html" if parent in shown else None
        if (ROOT / path).is_dir():
            inside = [posixpath.join(path, each.name) for each in _listed(ROOT / path)]
            entries = [
                (posixpath.relpath(page_of(each) + ".html", path), _label(each), summary(each)) for each in inside
            ]
            paths += [each for each in inside if each not in shown and each not in INSTEAD]
            shown.update(inside)
            yield page_of(path), {"title": f"{path}/", "entries": entries, "up": up}, "folder.html"
        else:
            yield page_of(path), {"title": path, "code": code(path), "up": up}, "source.html"


def _listed(folder: Path) -> list[Path]:
    inside = [each for each in folder.iterdir() if not _UNLISTED.match(each.name)]
    return sorted(
        (each for each in inside if is_shown(str(each.relative_to(ROOT)))), key=lambda each: (each.is_dir(), each.name)
    )


def _label(path: str) -> str:
    return posixpath.basename(path) + ("/" if (ROOT / path).is_dir() else "")


def code(path: str) -> str:
    formatter = HtmlFormatter(linenos="inline")
    return str(highlight((ROOT / path).read_text(), _lexer(path), formatter))


def summary(path: str) -> str:
    """What a file or a package says of itself: the first line of its docstring, or the comment at its top; as HTML."""
    file = ROOT / path
    if file.is_dir():
        return summary(f"{path}/__init__.py") if (file / "__init__.py").is_file() else ""
    text = file.read_text()
    if file.suffix == ".py":
        first = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    else:
        comment = _COMMENT.match(text.removeprefix("#!/usr/bin/env bash\n").partition("\n")[0])
        first = comment[1] if comment else ""
    return _CODE.sub(r'<code class="literal">\1</code>', escape(first))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(LinksToSources)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True}
