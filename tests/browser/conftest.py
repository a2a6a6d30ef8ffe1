"""One stack with its storefront for all tests, and for each test a new browser window."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from local.emulator.ports import free_port
from local.emulator.state import State
from local.launcher.running import stack
from tests.browser import chromium
from tests.browser.visitor import Visitor
from tests.conftest import ENVIRONMENT
from tests.e2e.cloud import Cloud
from tools.checkout import ROOT

Visit = Callable[..., Visitor]

expect.set_options(timeout=20_000)  # milliseconds, in place of Playwright's five seconds: machines differ threefold
STATE = State(ROOT / ".local" / f"browser-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}")
"""Where the stack keeps its files: each of pytest's workers has a stack of its own."""

HAS_PLAYED = "sessionStorage.firstOrder ??= JSON.stringify({ orderId: 'an earlier one', played: true });"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium. Where there is none the tests are skipped, and say so; CI always has one."""
    path = chromium.found()
    if not path and os.environ.get("CI") == "true":
        pytest.fail(chromium.MISSING)
    if not path:
        pytest.skip(chromium.MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.arguments())
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def storefront(browser: Browser) -> Iterator[dict[str, Any]]:
    """What `stack.json` says of a stack of its own, `webUrl` among it; its reconciler is due after 10 seconds."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ENVIRONMENT:  # the other tests' environment must not reach the deployed functions
            patch.delenv(name)
        with stack(STATE, free_port(), web_port=free_port(), parameters={"reconcileAfterSeconds": "10"}) as running:
            yield running


@pytest.fixture(scope="package")
def cloud(storefront: dict[str, Any]) -> Iterator[Cloud]:
    """The stack as an operator has it."""
    with ExitStack() as closing:
        yield Cloud(storefront, closing)


@pytest.fixture
def visit(browser: Browser, storefront: dict[str, Any]) -> Iterator[Visit]:
    """`visit(color_scheme="dark")` opens the shop. At the end no page may have broken its content policy."""
    visitors: list[tuple[Visitor, BrowserContext]] = []

    def visit(url: str = storefront["webUrl"], *, plays_first_order: bool = False, **window: Any) -> Visitor:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **window})
        if not plays_first_order:  # in slow motion, by itself
            context.add_init_script(HAS_PLAYED)
        context.set_default_timeout(20_000)  # milliseconds; a function starts slowly for the first time
        visitors.append((Visitor(context.new_page(), url), context))
        return visitors[-1][0].opens("")

    yield visit
    complaints = [complaint for visitor, _ in visitors for complaint in visitor.complaints]
    for visitor, context in visitors:
        visitor.page.unroute_all(behavior="ignoreErrors")  # a request may be under way through a test's route
        context.unroute_all(behavior="ignoreErrors")
        context.close()
    assert complaints == []


@pytest.fixture
def customer(visit: Visit) -> Visitor:
    """A customer who has just signed up, in a window of usual size."""
    return visit().signs_up()


@pytest.fixture
def gateway_is_up_again(visit: Visit) -> Iterator[None]:
    """Bring the gateway up after the test."""
    yield
    visit().posts("break-it/gateway", {"state": "up"})
