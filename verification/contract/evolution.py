"""How events evolve: today's models, compared with the JSON Schemas that were recorded when they were released.

A field may be added if it is optional. Any other change breaks something: an earlier event in flight, in the archive or
in a dead-letter queue, which this code must decode; or an earlier consumer, which must decode this code's events. A new
meaning is therefore a new event, or the next version.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orders.events import VERSIONS

Schema = Mapping[str, Any]
"""A JSON Schema, as pydantic writes it."""

_PROSE = {"title", "description", "default", "examples"}
"""Keywords that don't restrict the valid values."""


def file_of(folder: Path, version: str, detail_type: str) -> Path:
    """The path of an event's recorded schema, below tests/recorded."""
    return folder / f"v{version}" / "schemas" / f"{detail_type}.json"


def record(folder: Path) -> list[Path]:
    """Write the schema of every event of every version; return the files. Raises ValueError for a breaking change."""
    files = []
    for version, events in VERSIONS.items():
        for detail_type, event in events.items():
            file, schema = file_of(folder, version, detail_type), resolved(event.model_json_schema())
            breaks = list(breaking_changes(json.loads(file.read_text()), schema)) if file.exists() else []
            if breaks:
                raise ValueError(f"{detail_type}, version {version}: {'; '.join(breaks)}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(schema, indent=2) + "\n")
            files.append(file)
    return files


def resolved(schema: Schema) -> dict[str, Any]:
    """The schema with each `$ref` replaced by what it refers to, and without prose."""

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(each) for each in node]
        if not isinstance(node, Mapping):
            return node
        if "$ref" in node:
            return walk(schema["$defs"][node["$ref"].rpartition("/")[2]])
        return {
            name: {field: walk(each) for field, each in value.items()} if name == "properties" else walk(value)
            for name, value in node.items()
            if name not in _PROSE and name != "$defs"
        }

    return dict(walk(schema))


def breaking_changes(recorded: Schema, current: Schema, path: str = "") -> Iterator[str]:
    """The changes that break events or consumers of the recorded schema, a line each: `data.reason is gone`."""
    for part in sorted((recorded.keys() | current.keys()) - {"properties", "required", "items"}):
        if recorded.get(part) != current.get(part):
            yield f"{path or 'the event'}: {part} was {recorded.get(part)!r} and is {current.get(part)!r}"
    if "items" in recorded and "items" in current:
        yield from breaking_changes(recorded["items"], current["items"], f"{path}[]")
    before, now = recorded.get("properties", {}), current.get("properties", {})
    needed, needs = set(recorded.get("required", ())), set(current.get("required", ()))
    for name in before:
        field = f"{path}.{name}".lstrip(".")
        if name not in now:
            yield f"{field} is gone"
            continue
        if (name in needed) != (name in needs):
            yield f"{field} was {_demand(name in needed)} and is {_demand(name in needs)}"
        yield from breaking_changes(before[name], now[name], field)
    for name in sorted((now.keys() - before.keys()) & needs):
        yield f"{path}.{name} is new and required: make it optional".lstrip(".")


def _demand(required: bool) -> str:
    return "required" if required else "optional"
