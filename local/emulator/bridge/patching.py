"""How the bridge replaces internals of MiniStack."""

import sys
from collections.abc import Callable
from typing import Any


def require(module: Any, *names: str) -> None:
    """End the process, in one line, unless the module has all of these names."""
    for name in names:
        if not hasattr(module, name):
            sys.exit(f"this MiniStack has no {module.__name__}.{name}: local/emulator/bridge does not fit its version")


def replace(module: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(original)` in the place of one of the module's names."""
    require(module, name)
    setattr(module, name, make(getattr(module, name)))
