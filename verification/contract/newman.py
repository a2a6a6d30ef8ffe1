"""`npm run postman`: run the Postman collection with newman, installed for the purpose, on a stack of its own."""

import subprocess
import sys
from pathlib import Path

from local.emulator.ports import free_port
from local.emulator.state import LocalError, State
from local.launcher.command import carry_out
from local.launcher.running import stack
from local.terminal.output import Terminal
from verification.contract.__main__ import DOCS

_PACKAGE = Path(__file__).parent / "newman"
_PAUSE = 100  # milliseconds between two requests, for the order to move on


def postman() -> int:
    """Returns newman's exit code: 0 where every test of the collection passed. Raises LocalError."""
    terminal, state = Terminal(), State(Path(".local/postman"))
    with terminal.step("Installing newman"):
        folder = state.folder / "newman"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            (folder / name).write_bytes((_PACKAGE / name).read_bytes())
        installed = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True)
        if installed.returncode != 0:
            raise LocalError(f"newman can't be installed: {installed.stderr.strip()[-500:]}")
    with stack(state, free_port(), step=terminal.step) as description:
        values = {
            "apiUrl": description["apiUrl"],
            "cognitoUrl": description["endpointUrl"],
            "userPoolClientId": description["UserPoolClientId"],
            "mailboxUrl": f"{description['endpointUrl']}/_ministack/ses/messages",
        }
        command = [str(folder / "node_modules" / ".bin" / "newman"), "run", str(DOCS / "postman" / "collection.json")]
        command += ["--environment", str(DOCS / "postman" / "local.json"), "--delay-request", str(_PAUSE)]
        for name, value in values.items():
            command += ["--env-var", f"{name}={value}"]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(carry_out(postman))
