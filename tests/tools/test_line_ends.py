"""A checkout has the repository's bytes, however git is configured: hashes and scripts depend on the line ends."""

import subprocess
from pathlib import Path

import pytest

from tools.checkout import ROOT


def git(*arguments: str, folder: Path = ROOT) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a downloaded archive is no checkout of git's")
def test_a_checkout_with_the_line_ends_of_windows_has_the_same_bytes(tmp_path: Path) -> None:
    # given what is here now, with what is not committed yet, as a repository of its own
    here, there = tmp_path / "here", tmp_path / "there"
    files = git("ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")[:-1]
    files = [name for name in files if (ROOT / name).is_file()]
    for name in files:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes((ROOT / name).read_bytes())
    git("init", "--quiet", folder=here)
    git("add", "--all", folder=here)
    git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "all", folder=here)

    git("clone", "--quiet", "--config", "core.autocrlf=true", str(here), str(there))

    assert [name for name in files if (there / name).read_bytes() != (ROOT / name).read_bytes()] == []
