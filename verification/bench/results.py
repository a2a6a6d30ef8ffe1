"""The results of each part, as they were last measured: verification/bench/results/PART.json, with where and when."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from tools.checkout import ROOT

FOLDER = Path(__file__).parent / "results"


class Result(NamedTuple):
    measured: Mapping[str, str]
    """Where, when and with what, as machine() has it."""
    values: Mapping[str, Any]


def keep(part: str, measured: Mapping[str, str], values: Mapping[str, Any], folder: Path = FOLDER) -> None:
    content = json.dumps({"measured": measured, "values": values}, indent=1)
    (folder / f"{part}.json").write_text(content + "\n")


def kept(folder: Path = FOLDER) -> dict[str, Result]:
    """By part; a part that was never measured is missing."""
    return {file.stem: Result(**json.loads(file.read_text())) for file in sorted(folder.glob("*.json"))}


def machine() -> dict[str, str]:
    """This machine and its software, for a measurement now."""
    packages = ("boto3", "pydantic", "aws-lambda-powertools")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    versions = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit.stdout.strip() or "unknown",
        "processor": f"{_processor()}, {os.cpu_count()} of them",
        "system": f"{platform.system()} {platform.machine()}",
        "versions": ", ".join(versions),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")  # on Linux
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())
