from collections.abc import Iterator

import pytest

from tests.unit.stubbed_aws import StubbedAws


@pytest.fixture
def aws() -> Iterator[StubbedAws]:
    """Its responses have to be asked for, all of them."""
    made = StubbedAws(EventBusName="bus", UserPoolId="us-east-1_pool")
    yield made
    made.close()
