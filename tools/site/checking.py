"""What the built pages must not have: links that lead nowhere, pictures without text, assets from elsewhere.

A link to another site is fine. What a page loads by itself, a script, a style, a font or a picture, has to be its own.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

STATIC = "_static/"
"""The theme's folder, with its scripts and styles, and a template that is no page."""

_ASSETS = dict.fromkeys(("audio", "embed", "iframe", "img", "input", "script", "source", "track", "video"), "src")
_ASSETS |= {"image": "href", "link": "href", "object": "data", "use": "href"}
_LOADED_BY_CSS = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")
_LOADED_BY_JS = re.compile(r"""(?:import\(|from|fetch\(|importScripts\(|\bsrc\s*=)\s*["'`]((?:https?:)?//[^"'`\s]+)""")
_INLINE = "data:"
_COLOURING = re.compile(r'<span class="[^"]*">')
"""Most of the tags: the colours of code. Nothing here is about them, and a check without them is twice as fast."""


class Page(HTMLParser):
    """What a page links to, what it loads, the anchors that it has, and what is wrong with it alone."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.assets: set[str] = set()
        self.anchors: set[str] = {"", "top"}
        self.problems: list[str] = []
        self._inside = ""
        self.feed(_COLOURING.sub("", text))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attributes}
        self._inside = tag
        self.anchors |= {has[name] for name in ("id", "name") if name in has}
        if tag == "a" and "href" in has:
            self.links.add(has["href"])
        if asset := has.get(_ASSETS.get(tag, ""), has.get("xlink:href")):
            self.assets.add(asset)
        self.assets |= {each.split()[0] for each in has.get("srcset", "").split(",") if each.strip()}
        self.assets |= set(_LOADED_BY_CSS.findall(has.get("style", "")))
        if tag == "img" and not has.get("alt"):
            self.problems.append(f"a picture without alternative text: {has.get('src')}")

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.assets |= set(_LOADED_BY_CSS.findall(data))
        if self._inside == "script":
            self.assets |= set(_LOADED_BY_JS.findall(data))

    def handle_endtag(self, _: str) -> None:
        self._inside = ""


def problems(site: Path) -> list[str]:
    """Everything that is wrong with a built site, each as a line that begins with the file."""
    files = {file.relative_to(site).as_posix(): file for file in sorted(site.rglob("*.*"))}
    pages = {
        name: Page(file.read_text())
        for name, file in files.items()
        if file.suffix == ".html" and not name.startswith(STATIC)
    }
    found = [f"{name}: {what}" for name, page in pages.items() for what in _of_page(site, pages, name, page)]
    for name, file in files.items():
        if file.suffix in _LOADED_BY:
            urls = filter(_is_elsewhere, _LOADED_BY[file.suffix](file.read_text()))
            found += [f"{name}: loads {url} from elsewhere" for url in sorted(set(urls))]
    return found


_LOADED_BY: Mapping[str, Callable[[str], Iterable[str]]] = {
    ".css": _LOADED_BY_CSS.findall,
    ".js": _LOADED_BY_JS.findall,
    ".svg": lambda text: Page(text).assets,
}


def _of_page(site: Path, pages: dict[str, Page], name: str, page: Page) -> Iterator[str]:
    yield from page.problems
    for asset in sorted(page.assets):
        if _is_elsewhere(asset):
            yield f"loads {asset} from elsewhere"
        elif not asset.startswith(_INLINE) and not (site / _path(name, asset)[0]).is_file():
            yield f"loads {asset}, which is not there"
    for link in sorted(page.links):
        if urlsplit(link).scheme or link.startswith("//"):
            continue
        path, anchor = _path(name, link)
        if not (site / path).is_file():
            yield f"links to {link}, which is not there"
        elif path in pages and anchor not in pages[path].anchors:
            yield f"links to {link}: there is no such anchor"


def _is_elsewhere(url: str) -> bool:
    return url.startswith("//") or urlsplit(url).scheme in ("http", "https")


def _path(page: str, link: str) -> tuple[str, str]:
    """The file that a link on a page leads to, from the site's root, and the anchor in it."""
    url, anchor = urldefrag(link)
    path = unquote(urlsplit(urljoin(f"/{page}", url)).path).removeprefix("/")
    return path, unquote(anchor)
