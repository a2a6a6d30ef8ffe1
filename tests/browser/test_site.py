"""The site of npm run docs, as a reader sees it: nothing is cut off, light or dark, wide or narrow, and nothing comes from elsewhere."""

import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from operations.loopback import HOST
from tools.checkout import ROOT
from tools.site.__main__ import Quiet, main
from tools.site.building import SiteError, build

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the extensions, which follow Sphinx
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]

WIDTHS = (1280, 800)  # pixels
HEIGHT = 900
NOTEBOOKS = [f"notebooks/{file.stem}.html" for file in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]
PAGES = ["index.html", "notebooks/README.html", "docs/architecture.html", "api.html", "orders/choreography.py.html", *NOTEBOOKS]

CUT_OFF = """() => {
  const [found, column] = [[], document.querySelector('article').getBoundingClientRect()];
  const name = (element) => element.tagName + ' ' + (element.alt ?? element.className) + ': ' + element.textContent.trim().slice(0, 60);
  for (const box of [document.documentElement, document.querySelector('.bd-article-container')])
    if (box.scrollWidth > box.clientWidth) found.push(`${box.scrollWidth} px in ${box.clientWidth}: ` + name(box));
  for (const element of document.querySelectorAll('article img, article svg, article iframe, article details, article pre, article table')) {
    const { left, right, width } = element.getBoundingClientRect();
    const scrolls = element.closest('.pst-scrollable-table-container');
    if (width && !scrolls && (left < column.left - 1 || right > column.right + 1)) found.push('wider than its column: ' + name(element));
  }
  for (const image of document.querySelectorAll('article img')) if (!image.naturalWidth) found.push('not shown: ' + name(image));
  for (const code of document.querySelectorAll('article pre'))
    if (code.scrollWidth > code.clientWidth && !['auto', 'scroll'].includes(getComputedStyle(code).overflowX)) found.push('cut off: ' + name(code));
  if (column.width < 0.6 * innerWidth) found.push(`the column has ${column.width} px of ${innerWidth}`);
  return found;
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the site, built and served."""
    folder = tmp_path_factory.mktemp("site") / "site"
    build(folder)
    with ThreadingHTTPServer((HOST, 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://{HOST}:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    """A window on the site, which may load nothing from elsewhere and log no error."""
    context = browser.new_context(base_url=site, viewport={"width": WIDTHS[0], "height": HEIGHT})
    complaints: list[str] = []

    def refuse(route: Route) -> None:
        complaints.append(route.request.url)
        route.abort()

    context.route(lambda url: not url.startswith((site, "data:")), refuse)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda response: response.ok or complaints.append(f"{response.status} {response.url}"))
    yield page
    context.close()
    assert complaints == []


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_cut_off_light_or_dark_wide_or_narrow(page: Page, name: str) -> None:
    page.goto(name)

    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            assert page.evaluate(CUT_OFF) == [], f"{theme}, {width} px"
            assert page.evaluate("document.documentElement.dataset.theme") == theme


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_answers_are_folded_until_a_click(page: Page, name: str) -> None:
    page.goto(name)
    answers = page.locator("article details")

    assert answers.count() > 0
    for answer in answers.all():
        content = answer.locator(":scope > :not(summary)")
        assert not any(part.is_visible() for part in content.all())
        answer.locator("summary").click()
        assert content.first.is_visible()
        assert "```" not in answer.inner_text()


def test_search_finds_a_word_of_a_notebook_without_asking_anybody(page: Page) -> None:
    page.goto("search.html?q=idempotency")
    results = page.locator("#search-results li a")
    results.first.wait_for()

    found = {result.get_attribute("href").partition("?")[0] for result in results.all()}  # type: ignore[union-attr]
    assert "docs/architecture.html" in found
    assert any(each.startswith("notebooks/") for each in found)


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
        with pytest.raises(SiteError, match=rf"^port {port} is in use; take another: npm run docs -- --port \d+$"):
            main(["--port", str(port)])


def test_a_dead_link_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "index.md").write_text("# Home\n\n[dead](docs/no-such-document.md)\n")
    monkeypatch.setattr("tools.site.pages.HOME", home)
    monkeypatch.setattr("tools.site.pages.DOCUMENTS", ("notebooks/README.md",))

    with pytest.raises(SiteError, match=r"docs/no-such-document\.md"):
        build(tmp_path / "site")
