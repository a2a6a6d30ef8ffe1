"""Labs on queues: a batch in which one message fails, and dead letters of which some are worth a redrive."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from notebooks import own, reader
from notebooks.labs.flow import SMALL
from notebooks.labs.verdict import Verdict
from operations import dead_letters
from operations.dead_letters import DeadLetter

_DELIVERIES = 2

Consumer = Callable[[dict[str, Any], Callable[[str], None]], Any]


def batch_consumer(consume: Consumer) -> Verdict:
    """A queue delivers five messages, one of them poison, to the function, as Lambda would; the poison one is kept."""
    stack = reader.the_stack()
    sqs, name = stack.client("sqs"), own.new_name(stack)
    kept = sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=kept, AttributeNames=["QueueArn"])["Attributes"]
    redrive = {"deadLetterTargetArn": attributes["QueueArn"], "maxReceiveCount": _DELIVERIES}
    queue = sqs.create_queue(
        QueueName=name, Attributes={"VisibilityTimeout": "0", "RedrivePolicy": json.dumps(redrive)}
    )["QueueUrl"]
    bodies = [json.dumps({"orderId": f"order-{number}"}) for number in range(4)]
    bodies.insert(2, "this is not JSON")
    for body in bodies:
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    try:
        done: list[str] = []
        _deliver(sqs, queue, lambda batch: consume(batch, done.append))
        left = _bodies(sqs, kept)
    finally:
        own.remove(stack)
    if sorted(set(done)) != [f"order-{number}" for number in range(4)]:
        return Verdict(False, f"`done` should get four orders, and got {', '.join(sorted(set(done))) or 'none'}.")
    if len(done) > len(set(done)):
        return Verdict(False, "messages that had succeeded were delivered again: report only the failed ones.")
    if left != ["this is not JSON"]:
        return Verdict(False, f"the dead-letter queue has {len(left)} messages; only the poison one should be there.")
    return Verdict(True, "`done` got each of the four orders once, and the poison message is in the dead-letter queue.")


def _deliver(sqs: Any, queue: str, consume: Callable[[dict[str, Any]], Any]) -> None:
    """Deliver batches as Lambda's poller does, until the queue is empty."""
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        records = [{"messageId": each["MessageId"], "body": each["Body"]} for each in messages]
        try:
            response = consume({"Records": records}) or {}
            failed = {each["itemIdentifier"] for each in response.get("batchItemFailures", [])}
        except Exception:  # noqa: BLE001 # if a function raises, the whole batch has failed for Lambda
            failed = {each["MessageId"] for each in messages}
        for message in messages:
            if message["MessageId"] not in failed:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def _bodies(sqs: Any, queue: str) -> list[str]:
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [message["Body"] for message in messages]


def worth_a_redrive(choose: Callable[[list[DeadLetter]], Iterable[DeadLetter]]) -> Verdict:
    """After an outage the chosen dead letters are redriven: every order ends, and nothing fails once more."""
    stack = reader.the_stack()
    dead_letters.purge(stack, dead_letters.dead_letters(stack))
    account = reader.customer()
    with reader.gateway_down():
        orders = [account.post("/orders", SMALL)["orderId"] for _ in range(3)]
        [placed] = reader.wait_until(lambda: reader.rows_of(orders[0])[:1], "the first order's event")
        reader.publish(placed, totalAmount=1)
        reader.publish(placed, orderId="no-order")
        found: list[DeadLetter] = []

        def all_failed() -> bool:
            found[:] = dead_letters.dead_letters(stack)
            return len(found) >= 5

        reader.wait_until(all_failed, "five dead letters", seconds=600)
    chosen = list(choose(found))
    poison = {each.key for each in found if "gateway" not in each.reason}
    useless = [each for each in chosen if each.key in poison]
    missing = 3 - len({each.order_id for each in chosen if each.key not in poison})
    if useless or missing:
        return Verdict(
            False,
            f"{missing} of the three orders would still wait, and {len(useless)} of the dead letters that you chose"
            f" would fail again{': ' if useless else ''}{'; '.join(each.reason for each in useless)}.",
        )
    list(dead_letters.redrive(stack, chosen))
    for order_id in orders:
        reader.follow(order_id)
    charges = [reader.ledger(order_id)["charges"] for order_id in orders]
    dead_letters.purge(stack, dead_letters.dead_letters(stack))
    if charges != [1, 1, 1]:
        return Verdict(False, f"the three orders were charged {charges} times.")
    return Verdict(True, "three orders ended, each with one charge; two dead letters are left for a person.")
