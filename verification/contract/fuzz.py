"""`npm run fuzz`: thousands of valid and invalid requests, checked against the document, on a stack of their own.

schemathesis makes the requests from docs/openapi.json and checks each response against it: no server error, and no
status, content type, header or body that the document does not have.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

from local.emulator.ports import free_port
from local.emulator.state import State
from local.launcher.command import carry_out
from local.launcher.running import stack
from local.terminal.output import Terminal
from operations.customer import ShopAccount
from operations.stack import described
from verification.contract.openapi import document

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
_EMAIL = "fuzz@example.com"


def fuzz(requests: int, seed: int) -> int:
    """Return schemathesis's exit code: 0 if the document has every response."""
    terminal, state = Terminal(), State(Path(".local/fuzz"))
    schema = document()
    operations = sum(len(path) for path in schema["paths"].values())
    with stack(state, free_port(), step=terminal.step) as description:
        client = described(description).client("cognito-idp")
        token = ShopAccount(client, description, description["apiUrl"], _EMAIL).token
        file = state.folder / "openapi.json"
        file.write_text(json.dumps(schema))
        command = [str(Path(sys.executable).parent / "schemathesis"), "run", str(file)]
        command += ["--url", description["apiUrl"], "--header", f"Authorization:Bearer {token}"]
        command += ["--max-examples", str(max(1, requests // operations)), "--seed", str(seed)]
        command += ["--checks", ",".join(CHECKS), "--continue-on-failure", "--warnings", "off"]
        terminal.say(f"About {requests} requests, seed {seed}")
        return subprocess.run(command, cwd=state.folder, env={**os.environ, "NO_PROXY": "*"}, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="npm run fuzz --", description="Try the API against its OpenAPI document.")
    parser.add_argument("--requests", type=int, default=1000, metavar="N", help="about how many; default: 1000")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="default: a fresh one")
    arguments = parser.parse_args()
    return carry_out(lambda: fuzz(arguments.requests, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
