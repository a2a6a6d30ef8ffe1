"""The package that Lambda gets: how large it is, zipped and unpacked."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from tools.checkout import ROOT


def build(stage: str, package: Path) -> Path:
    """Build the package of a stage: `local` is for this machine, the others for Lambda."""
    run([sys.executable, "-m", "tools.build", f"--stage={stage}", f"--output={package}"])
    return package


def run(command: list[str], cwd: Path = ROOT, **options: Any) -> str:
    """What the program wrote. Raises RuntimeError with its error if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip()[-1500:])
    return str(done.stdout)


def weigh(package: Path) -> dict[str, int]:
    """Bytes of the file, and of what is in it."""
    with zipfile.ZipFile(package) as archive:
        return {"zipped": package.stat().st_size, "unpacked": sum(each.file_size for each in archive.infolist())}
