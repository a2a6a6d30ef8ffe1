"""Builds the functions' package: the checkout's handlers/ and orders/ and the locked dependencies, as one zip.

The same input gives the same bytes: entries are sorted and carry a fixed time and mode. Dependencies come as wheels
for the target, never built here: for AWS those of Lambda's Python and processor, for stage `local` those of this
machine, whose own interpreter runs the functions there. Where this machine has a Python of the target's version, the
package has its bytecode: a function can't keep any, and would compile everything at each cold start.

Run as a script (`python tools/build.py`): as a package this folder would hide the library of its name.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tools import uv
from tools.checkout import ROOT

LOCK = ROOT / "tools" / "locks" / "runtime.txt"
CACHE = ROOT / ".venv" / "packages"
SOURCES = ("handlers", "orders")

SERVICES = {"apigatewaymanagementapi", "dynamodb", "events", "sesv2", "sns"}
"""The AWS services that orders/ calls: of botocore's 31 MB of descriptions only theirs are shipped."""

ENDPOINTS = SERVICES - {"apigatewaymanagementapi", "sesv2"} | {"email", "execute-api"}
"""Their names among the endpoints."""

UNUSED = (
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/utilities/data_classes",
    "aws_lambda_powertools/utilities/parser",
    "pydantic/v1",
)
"""The large parts of packages that no function imports. Remove a part from this list before you import it."""

GLIBC = "2_34"
"""That of Amazon Linux 2023, on which Lambda's python3.13 runs: it loads wheels for this manylinux level and older."""

CPU = {"arm64": "aarch64", "x86_64": "x86_64"}


class Target(NamedTuple):
    """The platform that the package runs on; `options` make uv choose its wheels."""

    name: str
    python: str
    """The command of a Python of the same version."""
    options: tuple[str, ...]


def host() -> Target:
    name = f"{sys.implementation.cache_tag}-{platform.system()}-{platform.machine()}".lower()
    return Target(name, sys.executable, (f"--python={sys.executable}",))


def aws_lambda(runtime: str, architecture: str) -> Target:
    """`runtime` as in serverless.yml: python3.13; `architecture`: arm64 or x86_64."""
    version, platform_tag = runtime.removeprefix("python"), f"{CPU[architecture]}-manylinux_{GLIBC}"
    options = (f"--python={sys.executable}", f"--python-version={version}", f"--python-platform={platform_tag}")
    return Target(f"{runtime}-{architecture}", runtime, options)


class BuildError(Exception):
    """The package can't be built; the message is one line that names the fix."""


def dependencies(target: Target) -> Path:
    """The folder of the installed and trimmed dependencies, made once per lock and target."""
    key = hashlib.sha256(LOCK.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]
    folder = CACHE / f"{target.name}-{key}{'' if _can_compile(target) else '-source'}"
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="new-") as new:
        packages = Path(new, "packages")
        _install(target, packages)
        _trim(packages)
        _compile(target, packages)
        try:
            packages.rename(folder)
        except OSError:  # another build was faster, and its folder is the same
            if not folder.is_dir():
                raise
    return folder


def _install(target: Target, folder: Path) -> None:
    """Install the locked packages. They are copied: a link into uv's cache would have it trimmed as well."""
    command = [uv.PROGRAM, "pip", "install", "--link-mode=copy", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += [*target.options, f"--target={folder}", f"--requirement={LOCK}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=uv.environment())
    except FileNotFoundError as error:
        raise BuildError("The virtual environment has no uv: npm run clean, then try again.") from error
    if done.returncode == 0:
        return
    log = CACHE / "uv.log"
    log.write_text(done.stderr)
    where = f"(uv's output: {log.relative_to(ROOT)})"
    if "error sending request" in done.stderr:
        raise BuildError(f"The functions' packages can't be downloaded: check the network, then try again {where}.")
    if missing := re.search(r"(\S+) (?:has no (?:usable )?wheels|was not found)", done.stderr):
        raise BuildError(f"There is no wheel of {missing[1]} for {target.name}: lock a version that has one {where}.")
    if "Hash mismatch" in done.stderr:
        raise BuildError(f"A package differs from tools/locks/runtime.txt: don't use it, see {where}.")
    raise BuildError(f"uv failed for {target.name} {where}.")


def _trim(folder: Path) -> None:
    """Removes files that no function reads: descriptions of other services, metadata, tests, type stubs, scripts."""
    for data in (folder / "botocore" / "data").iterdir():
        if data.is_dir() and data.name not in SERVICES:
            shutil.rmtree(data)
    endpoints = folder / "botocore" / "data" / "endpoints.json"  # read whole with the first client
    described = json.loads(endpoints.read_text())
    for partition in described["partitions"]:
        services = partition["services"].items()
        partition["services"] = {name: each for name, each in services if name in ENDPOINTS}
    endpoints.write_text(json.dumps(described))
    unused = [folder / "bin", folder / "boto3" / "examples", folder / "boto3" / "data"]
    unused += [folder / name for name in UNUSED]
    unused += [*folder.glob("*.dist-info"), *folder.rglob("tests"), *folder.rglob("__pycache__")]
    for path in unused:
        if path.is_dir():
            shutil.rmtree(path)
    for file in (folder / ".lock", *folder.rglob("*.pyi"), *folder.rglob("py.typed")):
        file.unlink()


@cache
def _can_compile(target: Target) -> bool:
    try:
        return subprocess.run([target.python, "-c", ""], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _compile(target: Target, folder: Path) -> None:
    """Puts bytecode beside each source, with the names that it has in Lambda; does nothing without a fitting Python."""
    if not _can_compile(target):
        return
    command = [target.python, "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash"]
    command += ["-s", str(folder), "-p", "/var/task", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "0"})
    if done.returncode != 0:
        raise BuildError(f"{target.python} can't compile the package: {(done.stdout + done.stderr).strip()[-200:]}")


def _copy_sources(folder: Path) -> None:
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))


def _entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """Each file as (name in the zip, path), in no order."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def build(target: Target, output: Path) -> None:
    """Writes the package to `output`, whole or not at all. Raises BuildError."""
    installed = dependencies(target)
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    sources = Path(tempfile.mkdtemp(dir=CACHE, prefix="sources-"))
    try:
        _copy_sources(sources)
        _compile(target, sources)
        entries = sorted([*_entries(installed), *_entries(sources)])
        with zipfile.ZipFile(unfinished, "w") as package:
            for name, path in entries:
                entry = zipfile.ZipInfo(name)  # dated 1980-01-01
                entry.create_system = 3  # Unix: the mode below counts
                entry.external_attr = 0o100644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                package.writestr(entry, path.read_bytes())
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
        shutil.rmtree(sources)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/build.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("--stage", required=True, help="local: for this machine; any other: for Lambda")
    parser.add_argument("--runtime", default="python3.13", help="Lambda's runtime (default: %(default)s)")
    parser.add_argument("--architecture", choices=sorted(CPU), default="arm64", help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path(".serverless/order-processing.zip"), metavar="ZIP")
    options = parser.parse_args()

    started = time.monotonic()
    target = host() if options.stage == "local" else aws_lambda(options.runtime, options.architecture)
    try:
        build(target, options.output)
    except BuildError as error:
        sys.exit(str(error))
    if not _can_compile(target):
        print(f"No {target.python} here: without bytecode, each cold start takes longer.", file=sys.stderr)
    size = options.output.stat().st_size / 1e6
    print(f"{options.output}: {size:.1f} MB for {target.name} in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
