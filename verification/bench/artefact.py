"""The package that Lambda gets: how large it is, zipped and unpacked, and what is in it."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from tools.checkout import ROOT


def measure(folder: Path) -> dict[str, Any]:
    """Build the package for Lambda into the folder, and weigh it. Raises RuntimeError with the builder's message."""
    return weigh(build("dev", folder / "artefact.zip"))


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


def weigh(package: Path) -> dict[str, Any]:
    """Bytes by top-level package, largest first; `zipped` is the size of the file, with its directory."""
    zipped: Counter[str] = Counter()
    unpacked: Counter[str] = Counter()
    files: Counter[str] = Counter()
    with ZipFile(package) as archive:
        for entry in archive.infolist():
            name = entry.filename.partition("/")[0]
            zipped[name] += entry.compress_size
            unpacked[name] += entry.file_size
            files[name] += 1
    return {
        "zipped": package.stat().st_size,
        "unpacked": unpacked.total(),
        "files": files.total(),
        "packages": {
            name: {"zipped": size, "unpacked": unpacked[name], "files": files[name]}
            for name, size in zipped.most_common()
        },
    }
