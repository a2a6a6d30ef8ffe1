"""AsyncAPI's own parser judges docs/asyncapi.yaml. `npm run check` installs it, so this runs after that, in CI."""

import subprocess
from pathlib import Path

from tools.checkout import ROOT


def judged(file: Path) -> subprocess.CompletedProcess[str]:
    command = ["node", "tools/asyncapi/validate.mjs", str(file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_it_accepts_the_document_and_refuses_a_broken_one_with_the_place(tmp_path: Path) -> None:
    document = ROOT / "docs" / "asyncapi.yaml"
    broken = tmp_path / "broken.yaml"
    operation = "#/channels/bus/messages/OrderPlacedEvent"
    broken.write_text(document.read_text().replace(operation, "#/channels/bus/messages/Nothing", 1))

    assert (judged(document).returncode, judged(document).stdout) == (0, "")
    refused = judged(broken)
    assert refused.returncode == 1
    assert refused.stdout.startswith(f"{broken}:")
    assert "error: " in refused.stdout
