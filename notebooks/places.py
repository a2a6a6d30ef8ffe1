"""Where in the code a deployed resource comes from."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tools.checkout import ROOT


def place_of(logical_id: str) -> str:
    """The file that declares a resource of the stack: `resources/tables.yml` for `OrdersTable`.

    A resource that the Serverless Framework generates has a key of serverless.yml in its name, such as
    `PaymentProcessingLambdaFunction`; its own bucket and the API's parts come from the file as a whole.
    """
    return _declared().get(logical_id, "serverless.yml")


@cache
def _declared() -> Mapping[str, str]:
    return {
        key: file.relative_to(ROOT).as_posix()
        for file in sorted(Path(ROOT, "resources").glob("*.yml"))
        for key in re.findall(r"^  (\w+):", file.read_text(), re.MULTILINE)
    }
