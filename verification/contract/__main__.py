"""`npm run contract`: write the API's documents, and record the events' schemas."""

import json
import sys

from tools.checkout import ROOT
from verification.contract.evolution import record
from verification.contract.openapi import document
from verification.contract.postman import collection, environments

DOCS = ROOT / "docs"


def files() -> dict[str, str]:
    """Each document's path below docs/, and its text."""
    made = {"openapi.json": document(), "postman/collection.json": collection(document())}
    made |= {f"postman/{name}.json": environment for name, environment in environments().items()}
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in made.items()}


if __name__ == "__main__":
    for name, text in files().items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(text)
        print(f"docs/{name}")
    try:
        for file in record(ROOT / "tests" / "recorded"):
            print(file.relative_to(ROOT))
    except ValueError as error:
        sys.exit(f"{error}. Events evolve by optional fields only: docs/architecture.md, How events evolve")
