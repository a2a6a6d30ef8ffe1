from collections.abc import Iterator

import pytest

from tests.unit.stubbed_aws import Aws


@pytest.fixture
def aws() -> Iterator[Aws]:
    """Its responses have to be asked for, all of them."""
    made = Aws(EventBusName="bus", UserPoolId="us-east-1_pool")
    yield made
    made.close()
