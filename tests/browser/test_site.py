"""The site of npm run docs, as a reader sees it: nothing is cut off, and nothing comes from elsewhere."""

import re
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from operations.loopback import HOST
from tools.checkout import ROOT
from tools.site.__main__ import Quiet, main
from tools.site.building import build

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the extensions, which follow Sphinx
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]

WIDTHS = (1280, 800)  # pixels
HEIGHT = 900
NOTEBOOKS = [f"notebooks/{file.stem}.html" for file in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]
PAGES = [
    "index.html",
    "notebooks/README.html",
    "docs/architecture.html",
    "api.html",
    "orders/choreography.py.html",
    *NOTEBOOKS,
]

CUT_OFF = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const name = ({ tagName, alt, textContent }) => `${tagName} ${alt ?? textContent.trim().slice(0, 60)}`;
  const scrolls = (element) => ['auto', 'scroll'].includes(getComputedStyle(element).overflowX);
  const column = document.querySelector('article').getBoundingClientRect();
  const sticksOut = ({ left, right }) => left < column.left - 1 || right > column.right + 1;
  const found = [];
  for (const each of all('details')) each.open = true;
  for (const each of [document.documentElement, ...all('.bd-article-container')])
    if (each.scrollWidth > each.clientWidth) found.push(`the page scrolls: ${each.scrollWidth} px`);
  for (const each of all('article :is(img, svg, iframe, details, pre, table)'))
    if (sticksOut(each.getBoundingClientRect()) && !each.closest('.pst-scrollable-table-container'))
      found.push(`wider than its column: ${name(each)}`);
  for (const each of all('article img')) if (!each.naturalWidth) found.push(`not shown: ${name(each)}`);
  for (const each of all('article pre'))
    if (each.scrollWidth > each.clientWidth && !scrolls(each)) found.push(`cut off: ${name(each)}`);
  if (column.width < 0.6 * innerWidth) found.push(`the column has ${column.width} px`);
  return found;
}"""
"""What a window shows only in part, with all answers unfolded. Wide code and tables may scroll in their own box."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of the site, and what is wrong with it."""
    folder = tmp_path_factory.mktemp("site") / "site"
    return folder, build(folder)


@pytest.fixture(scope="module")
def site(built: tuple[Path, list[str]]) -> Iterator[str]:
    """The URL of the site."""
    folder, _ = built
    with ThreadingHTTPServer((HOST, 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://{HOST}:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def window(browser: Browser, site: str) -> Iterator[BrowserContext]:
    """One for all tests: it keeps the scripts and the styles that all pages have."""
    context = browser.new_context(base_url=site, viewport={"width": WIDTHS[0], "height": HEIGHT})
    yield context
    context.close()


@pytest.fixture
def page(window: BrowserContext, site: str) -> Iterator[Page]:
    """A page of the site, which may load nothing from elsewhere and log no error."""
    page = window.new_page()
    complaints: list[str] = []
    page.on("request", lambda sent: None if sent.url.startswith((site, "data:")) else complaints.append(sent.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(f"{said.text} {said.location}") if said.type == "error" else None)
    yield page
    page.close()
    assert complaints == []


def test_the_site_has_no_dead_link_and_nothing_from_elsewhere(built: tuple[Path, list[str]]) -> None:
    _, problems = built

    assert problems == []


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_cut_off_light_or_dark_wide_or_narrow(page: Page, name: str) -> None:
    page.goto(name)

    themes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for theme in themes:
        page.emulate_media(color_scheme=theme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            assert page.evaluate(CUT_OFF) == [], f"{theme}, {width} px"
            assert page.evaluate("document.documentElement.dataset.theme") == theme


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", NOTEBOOKS[1]])
def test_everybody_can_read_it(page: Page, name: str, theme: Literal["light", "dark"]) -> None:
    """Axe finds nothing, contrast included."""
    page.emulate_media(color_scheme=theme)
    page.goto(name)

    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"], "preload": False}).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_answers_are_folded_and_their_markdown_is_rendered(built: tuple[Path, list[str]], name: str) -> None:
    answers = re.findall(r"<details(.*?)>(.*?)</details>", (built[0] / name).read_text(), re.DOTALL)

    assert answers
    assert [text for attributes, text in answers if "open" in attributes or "```" in text] == []


def test_an_answer_unfolds_on_a_click(page: Page) -> None:
    page.goto(NOTEBOOKS[0])
    answer = page.locator("article details").first
    inside = answer.locator(":scope > :not(summary)").first

    assert not inside.is_visible()
    answer.locator("summary").click()
    assert inside.is_visible()


def test_search_finds_a_word_of_a_notebook_without_asking_anybody(page: Page) -> None:
    page.goto("search.html?q=idempotency")

    for start in ("docs/architecture.html", "notebooks/05"):  # results come one by one
        page.locator(f'#search-results li a[href^="{start}"]').wait_for()


def test_what_is_for_tools_alone_is_not_shown(page: Page) -> None:
    page.goto("README.html")

    assert "[[[" not in page.content()
    assert page.locator("article table").first.is_visible()


def test_a_link_to_code_leads_to_the_code(page: Page) -> None:
    page.goto("docs/architecture.html")
    page.locator('article a[href$="choreography.py.html"]').first.click()

    assert "def take_payment" in page.locator("article pre").inner_text()


def test_a_port_that_is_in_use_is_said_in_a_line() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"^port {port} is in use; take another: npm run docs -- --port \d+$"):
            main(["--port", str(port)])


def test_a_dead_link_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "index.md").write_text("# Home\n\n[dead](docs/no-such-document.md)\n")
    monkeypatch.setattr("tools.site.pages.HOME", home)
    monkeypatch.setattr("tools.site.pages.DOCUMENTS", ("notebooks/README.md",))

    problems = build(tmp_path / "site")

    assert [each for each in problems if each.startswith("index.md:3: ") and "docs/no-such-document.md" in each]
