"""`npm run contract`: write the documents of the API and of the events, and record the events' schemas."""

import json
import sys

from tools.checkout import ROOT
from verification.contract import asyncapi
from verification.contract.evolution import record
from verification.contract.openapi import document
from verification.contract.postman import collection, environments

DOCS = ROOT / "docs"


def files() -> dict[str, str]:
    """Each document's path below docs/, and its text."""
    made = {"openapi.json": document(), "postman/collection.json": collection(document())}
    made |= {f"postman/{name}.json": environment for name, environment in environments().items()}
    texts = {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in made.items()}
    texts |= {f"events/{name}": text for name, text in asyncapi.schemas().items()}
    return {**texts, "asyncapi.yaml": asyncapi.document()}


if __name__ == "__main__":
    for name, text in files().items():
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(text)
        print(f"docs/{name}")
    try:
        for file in record(ROOT / "tests" / "recorded"):
            print(file.relative_to(ROOT))
    except ValueError as error:
        sys.exit(f"{error}. Events evolve by optional fields only: docs/architecture.md, How events evolve")
