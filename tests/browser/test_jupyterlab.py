"""The notebooks in a JupyterLab that has never run them: what it shows without trusting them."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from local.emulator.ports import free_port
from notebooks.__main__ import jupyter_lab
from tests.e2e.waiting import wait_for
from tools.checkout import ROOT

_SECONDS = 60
TOKEN = "a-token-of-this-test"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab as `npm run notebooks` starts it, with folders of its own, so that it trusts no notebook; its URL."""
    folder, port = tmp_path_factory.mktemp("jupyter"), free_port()
    folders = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = jupyter_lab(["--no-browser", f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}"])
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **folders}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for("JupyterLab", lambda: responds(f"{url}/api"), seconds=_SECONDS)
        yield url
    finally:
        process.terminate()
        process.wait(_SECONDS)


def responds(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_pictures_show_before_the_notebook_is_run_or_trusted(lab: str, browser: Browser) -> None:
    notebook = Path("notebooks/08_the_audit_trail.ipynb")
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    page.goto(f"{lab}/lab/tree/{notebook}?token={TOKEN}&reset")

    picture = page.locator('.jp-OutputArea img[alt^="Tree of events"]').first
    expect(picture).to_be_attached(timeout=1000 * _SECONDS)
    picture.scroll_into_view_if_needed()

    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    page.close()
