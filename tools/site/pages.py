"""What the site consists of, in a folder for Sphinx: it has the checkout's own layout, so that relative links hold."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from tools.checkout import ROOT
from tools.site import api

HOME = Path(__file__).parent / "home"
"""The pages that only the site has."""

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "notebooks/README.md", "notebooks/*.ipynb")
PICTURES = ("docs/**/*.svg", "docs/**/*.gif", "docs/**/*.png")
TUTORIAL = "notebooks/README.md"
LIST_OF_NOTEBOOKS = "NOTEBOOKS"
"""Where the home page lists them."""

_CONTENTS = """

```{toctree}
:hidden:
:glob:

[0-9]*
```
"""


def gather(folder: Path) -> None:
    """Copy all pages and pictures to a folder that is not there yet."""
    shutil.copytree(HOME, folder)
    for pattern in (*DOCUMENTS, *PICTURES):
        for file in ROOT.glob(pattern):
            target = folder / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    home = folder / "index.md"
    home.write_text(home.read_text().replace(LIST_OF_NOTEBOOKS, "\n".join(_notebooks())))
    with (folder / TUTORIAL).open("a") as tutorial:
        tutorial.write(_CONTENTS)
    (folder / "api.md").write_text(api.page())


def _notebooks() -> Iterator[str]:
    """A line for each, with its title."""
    for file in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        first = "".join(json.loads(file.read_text())["cells"][0]["source"])
        title = first.partition("\n")[0].removeprefix("# ")
        yield f"- [{title}]({file.relative_to(ROOT)})"
