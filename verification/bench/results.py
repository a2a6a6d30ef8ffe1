"""The results of each part, as they were last measured: verification/bench/results/PART.json, with where and when."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "results"


class Result(NamedTuple):
    measured: Mapping[str, str]
    """Where, when and with what, as machine() has it."""
    values: Mapping[str, Any]


def keep(part: str, measured: Mapping[str, str], values: Mapping[str, Any], folder: Path = FOLDER) -> None:
    folder.mkdir(exist_ok=True)
    content = json.dumps({"measured": measured, "values": values}, indent=1, sort_keys=False)
    (folder / f"{part}.json").write_text(content + "\n")


def kept(folder: Path = FOLDER) -> dict[str, Result]:
    """By part; a part that was never measured is missing."""
    return {file.stem: Result(**json.loads(file.read_text())) for file in sorted(folder.glob("*.json"))}
