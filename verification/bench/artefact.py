"""The package that Lambda gets: how large it is, zipped and unpacked, and what is in it."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from tools.checkout import ROOT


def measure(folder: Path) -> dict[str, Any]:
    """Build it for Lambda into the folder, and weigh it. Raises what the builder says."""
    package = folder / "artefact.zip"
    built = subprocess.run(
        [sys.executable, ROOT / "tools" / "build.py", "--stage=dev", f"--output={package}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        raise RuntimeError(built.stderr.strip())
    return weigh(package)


def weigh(package: Path) -> dict[str, Any]:
    """Bytes by top-level package, dearest first; `zipped` is the file, which has an entry's head for each file too."""
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
