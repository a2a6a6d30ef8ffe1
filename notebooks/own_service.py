"""Code that notebook 13 uses but doesn't teach: a package for your own function, and a template with one more."""

import io
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from unittest.mock import patch
from urllib.request import urlopen

from IPython.display import display

from operations.stack import Stack
from tools import topology
from tools.checkout import ROOT


def package(stack: Stack, code: str) -> bytes:
    """Return the package of the stack's functions with `loyalty.py` added, which can so import boto3 and the events.

    AWS's Python includes boto3; on the embedded AWS a function finds only its package and the standard library.
    """
    function = stack.client("lambda").get_function(FunctionName=stack.function("fulfillment"))
    with urlopen(function["Code"]["Location"]) as response:
        archive = io.BytesIO(response.read())
    entry = zipfile.ZipInfo("loyalty.py")
    entry.external_attr = 0o644 << 16  # Lambda's user has to read it
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr(entry, code)
    return archive.getvalue()


@contextmanager
def product_with(function: str, role: str) -> Iterator[None]:
    """Let the generators see one more function in serverless.yml and one more role in roles.yml; no file changes."""
    before, end, after = (ROOT / "serverless.yml").read_text().partition("\npackage:\n")
    roles = (ROOT / "resources" / "roles.yml").read_text() + role
    service = topology.parsed(f"{before}\n{function}{end}{after}")
    resources = {**topology.resources(), **topology.parsed(roles)["Resources"]}
    try:
        with (
            patch.object(topology, "service", lambda: service),
            patch.object(topology, "resources", lambda: resources),
        ):
            topology.rules.cache_clear()
            yield
    finally:
        topology.rules.cache_clear()


def show(svg: str) -> None:
    """Show a picture from the documents as an image, with its description as alternative text."""
    text = svg.partition('<desc id="desc">')[2].partition("</desc>")[0]
    data = b64encode(svg.encode()).decode()
    image = f'<img src="data:image/svg+xml;base64,{data}" alt="{text}" style="max-width:100%">'
    display({"text/html": image, "text/plain": unescape(text)}, raw=True)
