"""The page's own modules in Node: what needs no browser to be tested."""

import json
import subprocess
from typing import Any

from tools.checkout import ROOT


def in_the_page(module: str, expression: str, *values: Any) -> Any:
    """The value of a JavaScript expression, with the module of web/ as `page` and the values as `v[0]`, `v[1]` …"""
    script = f"const page = await import('./web/{module}'); const v = JSON.parse(process.argv[1]); "
    script += f"console.log(JSON.stringify({expression}));"
    command = ["node", "--no-warnings", "--input-type=module", "-e", script, json.dumps(values)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
