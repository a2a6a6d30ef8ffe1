"""What pip is configured with counts for uv too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.checkout import ROOT

FILE = "[global]\nindex-url = https://mirror.example/simple\ncert = /etc/authority.pem\n"


@pytest.mark.parametrize(
    ("environment", "index"),
    [
        ({}, "https://mirror.example/simple"),
        ({"PIP_INDEX_URL": "https://other.example/simple"}, "https://other.example/simple"),
        ({"UV_DEFAULT_INDEX": "https://uvs.example/simple"}, "https://uvs.example/simple"),
    ],
)
def test_a_mirror_and_an_authority_of_pip_s_configuration_count_unless_uv_has_its_own(
    environment: dict[str, str], index: str, tmp_path: Path
) -> None:
    (tmp_path / "pip.conf").write_text(FILE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "SSL_"))}
    ask = "import json, tools.uv; print(json.dumps(tools.uv.environment()))"

    told = json.loads(
        subprocess.check_output(
            [sys.executable, "-c", ask],
            cwd=ROOT,
            env={**kept, "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), **environment},
        )
    )

    assert (told["UV_DEFAULT_INDEX"], told["SSL_CERT_FILE"]) == (index, "/etc/authority.pem")
