"""The simulator's evaluator of expressions against the embedded AWS's DynamoDB, on random items."""

from random import Random

from tests.e2e.cloud import Cloud
from tests.verification.simulation import writes
from tests.verification.test_expressions import compare


def test_every_write_of_the_code_ends_on_random_items_as_on_the_embedded_aws(cloud: Cloud) -> None:
    ends = compare(cloud.client("dynamodb"), writes.items(), Random().randrange(2**32), 4)
    assert {"done", "ConditionalCheckFailedException"} <= ends
