"""The simulator's evaluator of expressions against the embedded AWS's DynamoDB, on random items."""

import re
from random import Random

from orders.aws.dynamodb import Item
from tests.e2e.cloud import Cloud
from tests.verification.simulation import writes
from tests.verification.test_expressions import compare
from verification.tables import Write


def test_every_write_of_the_code_ends_on_random_items_as_on_the_embedded_aws(cloud: Cloud) -> None:
    ends = compare(cloud.client("dynamodb"), writes.items(), Random().randrange(2**32), 4, adds_to_no_number)
    assert {"done", "ConditionalCheckFailedException"} <= ends


def adds_to_no_number(write: Write, item: Item) -> bool:
    """AWS refuses that; the embedded AWS leaves the value as it is (`test_differences.py`)."""
    added = re.findall(r"#(\w+) = if_not_exists\(#\1, :\w+\) \+", write.update)
    return any("N" not in item[name] for name in added if name in item)
