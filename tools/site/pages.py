"""What the site consists of, in a folder for Sphinx: it has the checkout's own layout, so that relative links hold."""

import shutil
from pathlib import Path

from tools.checkout import ROOT
from tools.site import api

HOME = Path(__file__).parent / "home"
"""The pages that only the site has."""

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "notebooks/README.md", "notebooks/*.ipynb")
PICTURES = ("docs/**/*.svg", "docs/**/*.gif", "docs/**/*.png")
TUTORIAL = "notebooks/README.md"

NOTEBOOKS = """

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
    with (folder / TUTORIAL).open("a") as tutorial:
        tutorial.write(NOTEBOOKS)
    (folder / "api.md").write_text(api.page())
