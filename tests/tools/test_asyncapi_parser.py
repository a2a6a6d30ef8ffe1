"""AsyncAPI's own parser judges docs/asyncapi.yaml. `npm run check` installs it, so this runs after that, in CI."""

import subprocess
from pathlib import Path

import pytest

from tools.checkout import ROOT

DOCUMENT = ROOT / "docs" / "asyncapi.yaml"

BROKEN = {  # what is replaced, by what, and what the parser says of it
    "a reference to no message": (
        "#/channels/bus/messages/OrderPlacedEvent",
        "#/channels/bus/messages/Nothing",
        "error: operations.orderServicePublishes.messages.0.$ref: ",
    ),
    "an action that AsyncAPI does not know": (
        "action: send",
        "action: publish",
        "error: operations.orderServicePublishes.action: ",
    ),
    "an older version, of which it only informs": ("asyncapi: 3.1.0", "asyncapi: 3.0.0", "information: asyncapi: "),
}


def judged(file: Path) -> subprocess.CompletedProcess[str]:
    command = ["node", "tools/asyncapi/validate.mjs", str(file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_it_accepts_the_document() -> None:
    accepted = judged(DOCUMENT)
    assert (accepted.returncode, accepted.stdout) == (0, ""), accepted.stderr


@pytest.mark.parametrize(("right", "wrong", "said"), BROKEN.values(), ids=BROKEN)
def test_it_refuses_a_broken_document_and_names_the_line(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    text = DOCUMENT.read_text().replace(right, wrong, 1)
    line = text[: text.index(wrong)].count("\n") + 1
    broken = tmp_path / "broken.yaml"
    broken.write_text(text)

    refused = judged(broken)

    assert refused.returncode == 1
    assert f"{broken}:{line}: {said}" in refused.stdout
