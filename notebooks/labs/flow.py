"""Labs on events, rules and customers: which event goes where, and whose token it is."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from notebooks import own, reader
from notebooks.labs.verdict import Verdict

SMALL = {"items": [{"sku": "GRINDER", "quantity": 1}], "paymentMethod": "tok_visa"}
LARGE = {"items": [{"sku": "KETTLE", "quantity": 3}], "paymentMethod": "tok_visa"}


def declined_order(order_id: Any) -> Verdict:
    """The order with this id was declined, and only two events were published."""
    if isinstance(order_id, Mapping):
        order_id = order_id.get("orderId")
    if not isinstance(order_id, str):
        return Verdict(False, "place an order with the `paymentMethod` `tok_declined`, and pass its `orderId`.")
    if not reader.order(order_id):
        return Verdict(False, f"no order {order_id} is stored. Pass the `orderId` of the response.")
    reader.follow(order_id)
    kinds = {row["eventType"] for row in reader.rows_of(order_id)}
    if kinds == {"OrderPlacedEvent", "PaymentFailedEvent"}:
        return Verdict(True, "two events. Nothing was shipped, because no `PaymentCompletedEvent` was published.")
    return Verdict(False, f"that order wasn't declined: it has {', '.join(sorted(kinds))}. Use another card.")


def consumers(find: Callable[[str], Iterable[str]]) -> Verdict:
    """The function finds the deployed rules that deliver an event type, also one that was deployed a moment ago."""
    stack = reader.the_stack()
    events, bus, name = stack.client("events"), stack.outputs["EventBusName"], own.new_name(stack)
    pattern = {"detail-type": ["GreetingSentEvent", "PaymentFailedEvent"]}
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
    try:
        for event_type in ("GreetingSentEvent", "PaymentFailedEvent", "OrderPlacedEvent"):
            right, found = _rules(events, bus, event_type), set(find(event_type))
            if found != right:
                wrong = ", ".join(f"`{each}`" for each in sorted(found ^ right))
                return Verdict(False, f"for {event_type}, your function and the bus differ in {wrong}.")
    finally:
        events.delete_rule(Name=name, EventBusName=bus)
    return Verdict(True, "your function also found the rule that the check had just deployed.")


def _rules(events: Any, bus: str, event_type: str) -> set[str]:
    patterns = {rule["Name"]: json.loads(rule["EventPattern"]) for rule in events.list_rules(EventBusName=bus)["Rules"]}
    return {name for name, pattern in patterns.items() if event_type in pattern.get("detail-type", [event_type])}


def customer_of(find: Callable[[str], Any]) -> Verdict:
    """The function returns the customer id that the stack stores, for an ID token and for no other token."""
    account = reader.customer()
    order_id = account.post("/orders", SMALL)["orderId"]
    stored, found = reader.order(order_id)["customerId"], find(account.token)
    if found != stored:
        return Verdict(False, f"the stack stored the customer id {stored}, but your function returned {found}.")
    stack = reader.the_stack()
    tokens = stack.client("cognito-idp").initiate_auth(
        ClientId=stack.outputs["UserPoolClientId"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": account.email, "PASSWORD": account.password},
    )["AuthenticationResult"]
    if find(tokens["AccessToken"]) is not None:
        return Verdict(False, "right for an ID token; for an access token it should be `None`. Look at `token_use`.")
    return Verdict(True, "your function returns the id that the order was stored with, and rejects an access token.")


def large_orders(pattern: Mapping[str, Any]) -> Verdict:
    """A queue behind this pattern gets the event of a large order, and nothing else of a large and a small one."""
    if not pattern:
        return Verdict(False, "a pattern has the form of an event, with a list of the accepted values for each field.")
    stack = reader.the_stack()
    events, sqs = stack.client("events"), stack.client("sqs")
    bus, name = stack.outputs["EventBusName"], own.new_name(stack)
    rules = {name: pattern, f"{name}-all": {"source": [{"prefix": "order-processing."}]}}
    queues = {rule: sqs.create_queue(QueueName=rule)["QueueUrl"] for rule in rules}
    for rule, matches in rules.items():
        arn = events.put_rule(Name=rule, EventBusName=bus, EventPattern=json.dumps(matches))["RuleArn"]
        target = {"Id": rule, "Arn": own.allow_rules(stack, queues[rule], [arn])}
        events.put_targets(Rule=rule, EventBusName=bus, Targets=[target])
    account = reader.customer()
    small, large = (account.post("/orders", wish)["orderId"] for wish in (SMALL, LARGE))
    passed: list[tuple[str, str]] = []

    def all_passed() -> bool:
        passed.extend(_received(sqs, queues[f"{name}-all"]))
        return len(_of({small, large}, passed)) >= 6

    reader.wait_until(all_passed, "all events of a small and a large order")
    delivered = _of({small, large}, _received(sqs, queues[name], seconds=2))
    own.remove(stack)
    if delivered == {("OrderPlacedEvent", large)}:
        return Verdict(True, "the queue got the large order's `OrderPlacedEvent`, and nothing else.")
    said = [f"{kind} of the {'large' if order == large else 'small'} order" for kind, order in sorted(delivered)]
    hint = "Compare your pattern with the event above, level by level; `test_event_pattern` says whether it matches."
    return Verdict(False, f"the queue got {', '.join(said) or 'nothing'}. {hint}")


def _of(orders: set[str], messages: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(kind, order) for kind, order in messages if order in orders}


def _received(sqs: Any, queue_url: str, seconds: int = 1) -> list[tuple[str, str]]:
    """What is in the queue: event type and order id."""
    messages = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=seconds)
    bodies = [json.loads(message["Body"]) for message in messages.get("Messages", [])]
    for message in messages.get("Messages", []):
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return [(body["detail-type"], body["detail"]["data"].get("orderId", "")) for body in bodies]
