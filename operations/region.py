"""The region of a deploy that names none: `provider.region` of serverless.yml, which is what `sls deploy` takes."""

import re
from pathlib import Path

from operations.errors import OperatorError
from tools.checkout import ROOT

_SERVERLESS_YML = ROOT / "serverless.yml"
_REGION = re.compile(r"""^provider:.*\n(?:(?:[ #].*)?\n)*?  region: *["']?([a-z0-9-]+)["']? *(?:#.*)?$""", re.MULTILINE)


def default_region(file: Path = _SERVERLESS_YML) -> str:
    """Raises OperatorError where the file has a variable there, or nothing."""
    if found := _REGION.search(file.read_text()):
        return found[1]
    raise OperatorError(f"{file.name} has no plain text at provider.region; name the region with: --region")
