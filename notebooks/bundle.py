"""Bundle a JavaScript module with everything that it imports: a widget's front end is a single module.

Each imported module becomes a function that returns its exports, so that two modules may use the same name.
"""

import re
from pathlib import Path

from tools.checkout import ROOT

_IMPORT = re.compile(r"^import (\{[^}]+\}) from '(\.[^']+)';$", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def bundled(entry: Path) -> str:
    """Return the entry, preceded by the modules that it needs: each once, and after the modules that it imports."""
    modules: dict[str, str] = {}

    def linked(file: Path) -> str:
        return _IMPORT.sub(lambda found: f"const {found[1]} = {exports_of(file.parent / found[2])};", file.read_text())

    def exports_of(file: Path) -> str:
        exports = f"modules['{file.resolve().relative_to(ROOT)}']"
        if exports not in modules:
            text = linked(file)
            names = ", ".join(_EXPORT.findall(text))
            modules[exports] = f"{exports} = (() => {{\n{_EXPORT.sub('', text)}return {{ {names} }};\n}})();\n"
        return exports

    last = linked(entry)
    return "\n".join(["const modules = {};", *modules.values(), last])
