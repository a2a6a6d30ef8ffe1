"""The region of a deploy that names none: `provider.region` of serverless.yml, which is what `sls deploy` uses."""

from operations.errors import OperatorError
from tools import topology


def default_region() -> str:
    """Read the region. Raises OperatorError if serverless.yml has a variable there."""
    region = str(topology.service()["provider"].get("region", "${}"))
    if "$" in region:
        raise OperatorError("serverless.yml has no plain text at provider.region; name the region with: --region")
    return region
