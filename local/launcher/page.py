"""Open the storefront in a browser when somebody presses Enter in the terminal of `npm start`."""

import os
import select
import sys
import termios
import time
import webbrowser

from local.terminal.output import Terminal


def offer_page(terminal: Terminal) -> None:
    """Say that Enter opens the page, if somebody can press it; earlier input does not count."""
    if _somebody_is_there():
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        terminal.say("[bold]Press Enter[/] to open the storefront")


def wait_or_open(seconds: float, url: str) -> None:
    """Wait. Enter ends the wait and opens the page, or prints its URL if there is no browser."""
    if not _somebody_is_there():
        time.sleep(seconds)
        return
    typed, _, _ = select.select([sys.stdin], [], [], seconds)
    if not typed:
        return
    if not sys.stdin.readline():  # Ctrl-D: the next read would return at once, too
        time.sleep(seconds)
    elif not _open(url):
        Terminal().say("No browser could be opened. The storefront is at {url}", url=url)


def _somebody_is_there() -> bool:
    """Whether this process reads a terminal, in the foreground: reading in the background would stop it."""
    if os.environ.get("CI") or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()


def _open(url: str) -> bool:
    """Open the page in a window. A browser inside the terminal would take it over, so only $BROWSER may name one."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    in_terminal = type(browser) is webbrowser.GenericBrowser and not os.environ.get("BROWSER")
    return not in_terminal and browser.open(url)
