"""The page of the API, written from docs/openapi.json."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tools.checkout import ROOT

Schema = Mapping[str, Any]

DOCUMENT = "docs/openapi.json"


def page() -> str:
    """The page in Markdown: each operation with its parameters and responses, then each schema with its fields."""
    document = json.loads((ROOT / DOCUMENT).read_text())
    return "\n".join(_lines(document))


def _lines(document: Schema) -> Iterator[str]:
    yield "# The API\n"
    yield f"{document['info']['description']}\n"
    yield f"This page is made from the OpenAPI document, {{download}}`openapi.json <{DOCUMENT}>`.\n"
    yield from _table(
        ("server", "where"), ((f"`{server['url']}`", server["description"]) for server in document["servers"])
    )
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from _operation(document, f"{method.upper()} {path}", operation)
    yield "## Schemas\n"
    for name, schema in document["components"]["schemas"].items():
        if schema:
            yield from _schema(name, schema)


def _operation(document: Schema, route: str, operation: Schema) -> Iterator[str]:
    yield f"## {operation['summary']}\n"
    yield f"```http\n{route} HTTP/1.1\n```\n"
    for need in operation.get("security", ()):
        for name in need:
            yield f"Authentication: {document['components']['securitySchemes'][name]['description']}\n"
    yield from _table(
        ("parameter", "in", "type", "what it is"),
        (
            (f"`{each['name']}`", each["in"], _type(each["schema"]), each.get("description", ""))
            for each in operation.get("parameters", ())
        ),
    )
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Body, `{media}`: {_type(content['schema'])}\n"
    yield from _table(
        ("status", "when", "body"),
        (
            (f"`{status}`", response["description"], ", ".join(_type(each["schema"]) for each in _contents(response)))
            for status, response in operation["responses"].items()
        ),
    )


def _contents(response: Schema) -> Iterable[Schema]:
    return response.get("content", {}).values()  # type: ignore[no-any-return]


def _schema(name: str, schema: Schema) -> Iterator[str]:
    yield f"({name})=\n### {name}\n"
    yield f"{schema.get('description', '')}\n"
    required = schema.get("required", ())
    yield from _table(
        ("field", "type", "required", "what it is"),
        (
            (f"`{field}`", _type(each), "yes" if field in required else "", each.get("description", ""))
            for field, each in schema.get("properties", {}).items()
        ),
    )


_LIMITS = [
    "default",
    "exclusiveMaximum",
    "format",
    "maxItems",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
]


def _type(schema: Schema) -> str:
    """The type in words, with its limits; a schema by name is a link to it."""
    match schema:
        case {"$ref": ref}:
            name = ref.rpartition("/")[2]
            return "any" if name == "JsonValue" else f"[{name}](#{name})"
        case {"anyOf": kinds}:
            return " or ".join(map(_type, kinds))
        case {"const": value}:
            return f"`{json.dumps(value)}`"
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
    limits = ", ".join(f"{name} `{schema[name]}`" for name in _LIMITS if name in schema)
    return f"{schema.get('type', 'any')}{f' ({limits})' if limits else ''}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    if lines:
        yield "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *lines, ""])
