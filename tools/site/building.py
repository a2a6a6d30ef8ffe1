"""Build the site: put its pages together, let Sphinx render them, check the result."""

import os
import shutil
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.console import nocolor

from tools.site import checking, pages

CONFIGURATION = Path(__file__).parent


def build(site: Path) -> list[str]:
    """Write the site to a folder, which is replaced. Returns what is wrong with it: Sphinx's warnings, else our own."""
    nocolor()
    shutil.rmtree(site, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="site-") as folder:
        sources = Path(folder) / "pages"
        pages.gather(sources)
        warnings = StringIO()
        os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        with redirect_stdout(StringIO()):
            app = Sphinx(
                srcdir=sources,
                confdir=CONFIGURATION,
                outdir=site,
                doctreedir=Path(folder) / "doctrees",
                buildername="html",
                freshenv=True,
                status=None,
                warning=warnings,
            )
            app.build()
    found = [line.replace(f"{sources}/", "") for line in warnings.getvalue().splitlines() if line]
    return found or checking.problems(site)
