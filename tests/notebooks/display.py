"""IPython's `display` for the tests of what notebooks use: `npm test` installs neither Jupyter nor IPython."""

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def without_ipython() -> None:
    """Where IPython is missing, show nothing in place of showing it in a notebook. Call it before the import."""
    if "IPython" in sys.modules or find_spec("IPython"):
        return
    module = ModuleType("IPython.display")
    module.__dict__["display"] = _show_nothing
    sys.modules |= {"IPython": ModuleType("IPython"), module.__name__: module}


def _show_nothing(*_: Any, **__: Any) -> None:
    pass
