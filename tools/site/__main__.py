"""`npm run docs`: builds the site and serves it on loopback. `npm run docs -- --build` only builds it.

Warnings of Sphinx, dead links, pictures without text and assets from elsewhere are problems: each has its line, and
with one `--build` ends with 1.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from local.emulator.ports import free_port, is_taken
from operations.loopback import HOST
from tools.checkout import ROOT
from tools.site.building import build

PORT = 8000
SITE = ROOT / ".local" / "site"


class Quiet(SimpleHTTPRequestHandler):
    """Serve files without a line for each request."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="npm run docs --", description=__doc__.partition("\n")[0])
    parser.add_argument("--build", action="store_true", help="only build the site")
    parser.add_argument("--port", type=int, default=PORT, help=f"serve on this port; default: {PORT}")
    options = parser.parse_args(arguments)
    if not options.build and is_taken(options.port):
        sys.exit(f"port {options.port} is in use; take another: npm run docs -- --port {free_port()}")
    started = time.monotonic()
    print("Building the site … ", end="", flush=True)
    problems = build(SITE)
    print(f"{time.monotonic() - started:.0f} s: {(SITE / 'index.html').relative_to(ROOT)}", flush=True)
    for problem in problems:
        print(problem, file=sys.stderr)
    if options.build:
        sys.exit(bool(problems))
    serve(SITE, options.port)


def serve(folder: Path, port: int) -> None:
    with ThreadingHTTPServer((HOST, port), partial(Quiet, directory=str(folder))) as server:
        print(f"The site is at http://{HOST}:{port}/ until Ctrl-C.", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(0)
