"""Write docs/storefront.png: an order in slow motion, as README shows it. Run it while `npm start` runs.

npm run browser:picture
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from operations.stack import StackUnavailable, find
from tests.browser import chromium
from tests.browser.visitor import Visitor
from tools.checkout import ROOT

PICTURE = ROOT / "docs" / "storefront.png"
STEP = 5  # the step that is shown
LARGEST_BYTES = 300_000


def main() -> int:
    path = chromium.found()
    try:
        url = find("local").outputs["webUrl"]
    except StackUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    if not path:
        print(chromium.MISSING, file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.arguments())
        page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light", reduced_motion="reduce")
        page.set_default_timeout(60_000)
        visitor = Visitor(page, url)
        visitor.opens("").signs_up().orders().sees_the_end("is on its way")
        page.locator(".timeline .step").nth(STEP - 1).click()
        page.get_by_text("It is up.").wait_for()  # the panel has its state
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=PICTURE)
        browser.close()
    size = PICTURE.stat().st_size
    print(f"{PICTURE.relative_to(Path.cwd())}: {size / 1000:.0f} kB")
    return 0 if size < LARGEST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
