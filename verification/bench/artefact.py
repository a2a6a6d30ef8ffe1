"""The package that Lambda gets: how large it is, zipped and unpacked, and what is in it."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from tools.checkout import ROOT
from verification.bench.cold_start import run


def measure(folder: Path) -> dict[str, Any]:
    """Build the package for Lambda into the folder, and weigh it. Raises RuntimeError with the builder's message."""
    package = folder / "artefact.zip"
    run([sys.executable, str(ROOT / "tools" / "build.py"), "--stage=dev", f"--output={package}"])
    return weigh(package)


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
