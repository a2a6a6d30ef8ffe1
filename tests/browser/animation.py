"""Write docs/rescue.gif, README's picture: the rescue of an order, filmed on the page. Run it while `npm start` runs.

npm run browser:animation
"""

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from operations.stack import StackUnavailable, find
from tests.browser import chromium
from tests.browser.visitor import Visitor
from tools.checkout import ROOT

PICTURE = ROOT / "docs" / "rescue.gif"
WINDOW = (1280, 800)
SIZE = (960, 600)
COLOURS = 128
LARGEST_BYTES = 1_500_000
LONGEST_MS, PAUSE_MS, LAST_MS = 800, 1_200, 4_000  # of an unchanged picture; after a click is due; of the last picture
TIMEOUT_SECONDS = 60


class Film:
    """Pictures of a page, each with how long it is shown (milliseconds)."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.pictures: list[tuple[bytes, int]] = []

    def until(self, done: Callable[[], bool]) -> None:
        """Film in real time until something is seen. Raises TimeoutError."""
        latest, began = time.monotonic(), time.monotonic()
        while not done():
            if time.monotonic() - began > TIMEOUT_SECONDS:
                raise TimeoutError("the page has not come to it")
            self._take()
            now = time.monotonic()
            self._show_last(round(1000 * (now - latest)))
            latest = now

    def hold(self, milliseconds: int) -> None:
        """Show the page as it is now for some time."""
        self._take()
        self._show_last(milliseconds, longest=milliseconds)

    def _take(self) -> None:
        picture = self._page.screenshot()
        if not self.pictures or self.pictures[-1][0] != picture:
            self.pictures.append((picture, 0))

    def _show_last(self, milliseconds: int, longest: int = LONGEST_MS) -> None:
        picture, shown = self.pictures[-1]
        self.pictures[-1] = (picture, min(shown + milliseconds, max(longest, shown)))


def film_the_rescue(visitor: Visitor) -> Film:
    """Take the gateway down, order, watch it fail, bring the gateway up, redrive, and see the end."""
    page, film = visitor.page, Film(visitor.page)

    def seen(headline: str) -> bool:
        return bool(page.locator(".timeline .headline", has_text=headline).first.is_visible())

    visitor.button("Take the gateway down").click()
    page.get_by_text("It is down").wait_for()
    visitor.orders()
    film.until(lambda: seen("Kept as a dead letter") and page.locator(".dead-letters li").first.is_visible())
    film.hold(PAUSE_MS)
    visitor.button("Bring the gateway up").dispatch_event("click")  # without scrolling to it
    film.until(visitor.button("Redrive them").is_enabled)
    film.hold(PAUSE_MS)
    visitor.button("Redrive them").dispatch_event("click")
    film.until(lambda: seen("E-mail sent") and seen("Redriven"))
    film.until(page.locator(".dead-letters").is_hidden)
    film.hold(LAST_MS)
    return film


def write(film: Film, path: Path) -> None:
    """All pictures in the same colours: those of the one in the middle and of the last."""
    pictures = [
        Image.open(io.BytesIO(png)).convert("RGB").resize(SIZE, Image.Resampling.LANCZOS) for png, _ in film.pictures
    ]
    together = Image.new("RGB", (SIZE[0], SIZE[1] * 2))
    together.paste(pictures[len(pictures) // 2], (0, 0))
    together.paste(pictures[-1], (0, SIZE[1]))
    palette = together.quantize(COLOURS)
    first, *others = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [shown for _, shown in film.pictures]
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)


def main() -> int:
    browser_path = chromium.found()
    try:
        url = find("local").outputs["webUrl"]
    except StackUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    if not browser_path:
        print(chromium.MISSING, file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=chromium.arguments())
        page = browser.new_page(viewport={"width": WINDOW[0], "height": WINDOW[1]}, color_scheme="light")
        page.set_default_timeout(1000 * TIMEOUT_SECONDS)
        page.add_init_script("sessionStorage.firstOrder = JSON.stringify({ played: true });")
        film = film_the_rescue(Visitor(page, url).opens("").signs_up().opens(""))
        browser.close()
    write(film, PICTURE)
    size, seconds = PICTURE.stat().st_size, sum(shown for _, shown in film.pictures) / 1000
    print(f"{PICTURE.relative_to(ROOT)}: {len(film.pictures)} pictures, {seconds:.0f} s, {size / 1000:.0f} kB")
    return 0 if size < LARGEST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
