"""Enter in the terminal of `npm start` opens the storefront; anywhere else nothing waits for it."""

import os
import pty
import webbrowser
from collections.abc import Iterator
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from local.launcher import page
from local.terminal.output import Terminal

URL = "http://127.0.0.1:4567/"
SECONDS = 0.05


class Browser:
    def __init__(self, *, opens: bool) -> None:
        self.opens = opens
        self.opened: list[str] = []

    def open(self, url: str) -> bool:
        self.opened.append(url)
        return self.opens


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The keyboard of a terminal, in whose foreground this process runs; write to it to type."""
    for name in ("CI", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    controller, terminal = pty.openpty()
    monkeypatch.setattr("os.tcgetpgrp", lambda _: os.getpgrp())
    with os.fdopen(controller, "wb", buffering=0) as typed, os.fdopen(terminal, "r") as read:
        monkeypatch.setattr(page, "sys", SimpleNamespace(stdin=read, stdout=Screen()))
        yield typed


class Screen(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    browser = Browser(opens=True)
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    return browser


def said_on(screen: StringIO) -> str:
    page.offer_page(Terminal(Console(file=screen, color_system=None)))
    return screen.getvalue()


def test_enter_opens_the_storefront(keyboard: Any, browser: Browser) -> None:
    assert "Press Enter to open the storefront" in said_on(Screen())

    keyboard.write(b"\n")
    page.wait_or_open(60, URL)

    assert browser.opened == [URL]


def test_without_enter_nothing_is_opened(keyboard: Any, browser: Browser) -> None:
    page.wait_or_open(SECONDS, URL)
    assert browser.opened == []


def test_what_was_typed_before_the_offer_opens_nothing(keyboard: Any, browser: Browser) -> None:
    keyboard.write(b"\n\n")
    said_on(Screen())

    page.wait_or_open(SECONDS, URL)

    assert browser.opened == []


def test_ctrl_d_opens_nothing(keyboard: Any, browser: Browser) -> None:
    keyboard.write(b"\x04")
    page.wait_or_open(SECONDS, URL)
    assert browser.opened == []


@pytest.mark.parametrize("reason", ["none there", "one that fails", "one in the terminal"])
def test_where_no_browser_opens_the_url_is_said(
    keyboard: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    def get() -> Any:
        if reason == "none there":
            raise webbrowser.Error
        return Browser(opens=False) if reason == "one that fails" else webbrowser.GenericBrowser("lynx")

    monkeypatch.setattr(webbrowser, "get", get)
    monkeypatch.setattr(webbrowser.GenericBrowser, "open", lambda *_: pytest.fail("it would take over the terminal"))

    keyboard.write(b"\n")
    page.wait_or_open(60, URL)

    assert URL in capsys.readouterr().out


@pytest.mark.parametrize("where", ["in CI", "in the background", "in a pipe"])
def test_where_nobody_can_press_it_nothing_is_offered_or_read(
    keyboard: Any, browser: Browser, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "in CI":
        monkeypatch.setenv("CI", "true")
    if where == "in the background":
        monkeypatch.setattr("os.tcgetpgrp", lambda _: os.getpgrp() + 1)
    if where == "in a pipe":
        monkeypatch.setattr(page, "sys", SimpleNamespace(stdin=StringIO("\n"), stdout=Screen()))

    keyboard.write(b"\n")
    assert said_on(Screen()) == ""
    page.wait_or_open(SECONDS, URL)

    assert browser.opened == []
