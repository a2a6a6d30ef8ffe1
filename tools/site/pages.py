"""What the site consists of, in a folder for Sphinx: it has the checkout's own layout, so that relative links hold."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tools.checkout import ROOT
from tools.site import api

HOME = Path(__file__).parent / "home"
"""The pages that only the site has."""

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "notebooks/*.md", "notebooks/*.ipynb")
PICTURES = ("docs/**/*.svg", "docs/**/*.gif", "docs/**/*.png")
TUTORIAL = "notebooks/README.md"

LIST_OF_NOTEBOOKS = "NOTEBOOKS"
OTHER_DOCUMENTS = "OTHERS"
"""Where a page of HOME lists the notebooks, and the documents that no page of HOME has in its contents."""

_IN_CONTENTS = re.compile(r"^(?:.* <)?(docs/[\w-]+)>?$", re.MULTILINE)

_CONTENTS = """

```{toctree}
:hidden:
:glob:

[0-9]*
[a-z]*
```
"""


def gather(folder: Path) -> None:
    """Copy all pages and pictures to a folder that is not there yet."""
    folder.mkdir()
    for page in HOME.glob("*.md"):
        text = page.read_text().replace(LIST_OF_NOTEBOOKS, "\n".join(_notebooks()))
        (folder / page.name).write_text(text.replace(OTHER_DOCUMENTS, "\n".join(_other_documents())))
    for pattern in (*DOCUMENTS, *PICTURES):
        for file in ROOT.glob(pattern):
            target = folder / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    with (folder / TUTORIAL).open("a") as tutorial:
        tutorial.write(_CONTENTS)
    (folder / "api.md").write_text(api.page())


def _notebooks() -> Iterator[str]:
    """A line for each, with its title."""
    for file in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        first = "".join(json.loads(file.read_text())["cells"][0]["source"])
        title = first.partition("\n")[0].removeprefix("# ")
        yield f"- [{title}]({file.relative_to(ROOT)})"


def _other_documents() -> list[str]:
    """As entries of a toctree, in alphabetical order."""
    listed = {name for file in HOME.glob("*.md") for name in _IN_CONTENTS.findall(file.read_text())}
    return sorted({f"docs/{file.stem}" for file in ROOT.glob("docs/*.md")} - listed)
