"""The package that Lambda gets: built, unpacked, and weighed; and the naive handlers with their packages."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from tools.checkout import ROOT


def run(command: list[str], cwd: Path = ROOT, **options: Any) -> str:
    """The program's output. Raises RuntimeError with its error if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip()[-1500:])
    return str(done.stdout)


def build(stage: str, package: Path) -> Path:
    """Build the package of a stage: `local` is for this machine, the others are for Lambda."""
    run([sys.executable, "-m", "tools.build", f"--stage={stage}", f"--output={package}"])
    return package


def unpack(folder: Path) -> tuple[Path, Path]:
    """The folders of the package for this machine, and of the naive handlers with their packages."""
    ours, naive = folder / "ours", folder / "naive"
    for each in (ours, naive):
        shutil.rmtree(each, ignore_errors=True)
    with zipfile.ZipFile(build("local", folder / "package.zip")) as archive:
        archive.extractall(ours)
    lock = str(ROOT / "tools" / "locks" / "naive.txt")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", lock]
    run([*pip, "--target", str(naive)])  # pip compiles, as Lambda's layers are compiled
    shutil.copytree(ROOT / "verification" / "bench" / "naive", naive / "naive")
    run([sys.executable, "-m", "compileall", "-q", str(naive / "naive")])
    return ours, naive


def weigh(package: Path) -> dict[str, int]:
    """The size of the file, zipped and unpacked, in bytes."""
    with zipfile.ZipFile(package) as archive:
        return {"zipped": package.stat().st_size, "unpacked": sum(each.file_size for each in archive.infolist())}
