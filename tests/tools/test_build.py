"""The package that tools/build.py makes: for whom it is, what is in it, and what its bytes depend on."""

import json
import marshal
import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.tools.checkout import Checkout
from tools import topology
from tools.checkout import ROOT

ARM64 = 0xB7  # e_machine of an ELF file for AArch64
MB = 1_000_000


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `local.zip`, for this machine, and `dev.zip`, for Lambda."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    for stage in ("local", "dev"):
        assert checkout.build(stage, f"{stage}.zip").returncode == 0
    return checkout.folder


@pytest.fixture(scope="module")
def unpacked(built: Path) -> Path:
    ZipFile(built / "local.zip").extractall(built / "unpacked")
    return built / "unpacked"


def test_the_same_input_gives_the_same_bytes(built: Path, checkout: Checkout) -> None:
    for path in (*checkout.folder.glob("handlers/*"), *checkout.folder.glob("orders/*")):
        os.utime(path, (0, 0))
        path.chmod(0o700)
    cache = checkout.folder / "orders" / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "model.cpython-399.pyc").write_bytes(b"made by some Python")
    (checkout.folder / "orders" / ".DS_Store").write_bytes(b"made by some desktop")
    checkout.build("local", "elsewhere/second.zip")

    assert (built / "local.zip").read_bytes() == (checkout.folder / "elsewhere" / "second.zip").read_bytes()


def test_another_source_gives_another_package(built: Path, checkout: Checkout) -> None:
    (checkout.folder / "orders" / "new.py").write_text("NEW = True\n")
    checkout.build("local", "second.zip")

    assert "orders/new.py" in ZipFile(checkout.folder / "second.zip").namelist()
    assert (built / "local.zip").read_bytes() != (checkout.folder / "second.zip").read_bytes()


def test_what_is_trimmed_is_a_copy_and_not_the_file_in_the_cache_of_uv(built: Path) -> None:
    trimmed = list((built / ".venv" / "packages").glob("*/botocore/data/endpoints.json"))

    assert trimmed
    assert [file for file in trimmed if file.stat().st_nlink > 1] == []


@pytest.mark.parametrize("function", topology.service()["functions"])
def test_each_function_starts_from_the_package_alone(function: str, unpacked: Path) -> None:
    start = f"import sys; sys.path.insert(0, {str(unpacked)!r}); from {topology.handler(function)} import handler"

    started = subprocess.run([sys.executable, "-I", "-S", "-c", start], capture_output=True, text=True, check=False)

    assert started.returncode == 0, started.stderr


def test_the_package_has_the_aws_services_that_the_code_calls_and_no_other(unpacked: Path) -> None:
    sources = [*unpacked.glob("handlers/*.py"), *unpacked.glob("orders/*.py")]
    called = {name for source in sources for name in re.findall(r'\bclient\("(\w+)"', source.read_text())}

    assert called == {folder.name for folder in (unpacked / "botocore" / "data").iterdir() if folder.is_dir()}


def test_each_aws_client_can_be_made_from_the_package_alone(unpacked: Path) -> None:
    services = [folder.name for folder in (unpacked / "botocore" / "data").iterdir() if folder.is_dir()]
    make = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r}); import boto3\n"
        f"for service in {services!r}: boto3.client(service, region_name='eu-central-1')"
    )

    made = subprocess.run([sys.executable, "-I", "-S", "-c", make], capture_output=True, text=True, check=False)

    assert made.returncode == 0, made.stderr


def test_the_package_for_lambda_holds_arm64_libraries_of_its_python_only(built: Path) -> None:
    package = ZipFile(built / "dev.zip")
    libraries = [name for name in package.namelist() if ".so" in Path(name).suffixes]

    assert libraries
    for name in libraries:
        assert "cpython-313-aarch64" in name
        assert int.from_bytes(package.read(name)[18:20], "little") == ARM64


@pytest.mark.parametrize("stage", ["local", "dev"])
def test_the_package_is_small_and_holds_no_leftovers(stage: str, built: Path) -> None:
    package = ZipFile(built / f"{stage}.zip")
    parts = {part for name in package.namelist() for part in Path(name).parts}

    assert (built / f"{stage}.zip").stat().st_size < 8 * MB
    assert sum(entry.file_size for entry in package.infolist()) < 25 * MB
    assert not parts & {"tests", "bin", "examples"}
    assert not [part for part in parts if part.endswith((".dist-info", ".pyi"))]
    assert {Path(name).parts[0] for name in package.namelist()} >= {"handlers", "orders", "boto3", "pydantic"}


def test_each_source_has_its_bytecode_which_needs_no_check(built: Path) -> None:
    package = ZipFile(built / "local.zip")
    names = set(package.namelist())

    for source in [name for name in names if name.endswith(".py")]:
        path = Path(source)
        compiled = f"{path.parent.as_posix()}/__pycache__/{path.stem}.{sys.implementation.cache_tag}.pyc"
        assert compiled.removeprefix("./") in names
        flags = int.from_bytes(package.read(compiled.removeprefix("./"))[4:8], "little")
        assert flags == 0b01, "hash-based, unchecked"  # PEP 552


def _path(checkout: Checkout) -> tuple[str, str]:
    return str(checkout.folder / ".venv" / "bin"), os.environ["PATH"]


def test_an_error_names_the_file_as_lambda_has_it(built: Path) -> None:
    code = ZipFile(built / "local.zip").read(f"orders/__pycache__/message.{sys.implementation.cache_tag}.pyc")[16:]
    assert marshal.loads(code).co_filename == "/var/task/orders/message.py"


def test_without_a_fitting_python_the_package_has_no_bytecode_and_says_so(checkout: Checkout) -> None:
    none = checkout.folder / "programs" / "python3.13"
    none.parent.mkdir()
    none.write_text("#!/bin/sh\nexit 127\n")
    none.chmod(0o755)

    built = checkout.build("dev", "dev.zip", PATH=os.pathsep.join((str(none.parent), *_path(checkout))))

    assert "No python3.13 here: without bytecode, each cold start takes longer." in built.stderr
    assert not [name for name in ZipFile(checkout.folder / "dev.zip").namelist() if name.endswith(".pyc")]


def test_the_endpoints_are_those_of_the_services_that_the_code_calls(unpacked: Path) -> None:
    endpoints = json.loads((unpacked / "botocore" / "data" / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        assert set(partition["services"]) <= {"dynamodb", "events", "email", "sns"}
    assert "eu-central-1" in endpoints["partitions"][0]["services"]["dynamodb"]["endpoints"]


UNREACHABLE = {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0"}


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}, "can't be downloaded: check the network"),
        ({"UV_DEFAULT_INDEX": ROOT.as_uri()}, "There is no wheel of annotated-types for python3.13-arm64: "),
    ],
)
def test_what_uv_can_not_do_is_one_line_that_names_the_mend(
    environment: dict[str, str], line: str, tmp_path: Path
) -> None:
    checkout = Checkout(tmp_path, packages=False)

    failed = checkout.build("dev", "package.zip", **UNREACHABLE, **environment)

    assert failed.returncode == 1
    assert line in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    assert not (tmp_path / "package.zip").exists()
    assert (tmp_path / ".venv" / "packages" / "uv.log").read_text()
