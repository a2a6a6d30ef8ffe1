"""The operator's checks: dead letters, alarms, metrics, rules and subscriptions."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from operations.dead_letters import DeadLetter, dead_letters, purge, redrive
from operations.outage import gateway, switch_gateway, without_events_for
from operations.smoke import customer_story
from operations.smoke.api import call
from operations.smoke.visit import CheckFailed, NotTried, Visit, expect
from orders import clock
from orders.events import Metadata, PaymentCompleted, PaymentCompletedEvent, new_id
from tools import flow

_METRICS = ("OrdersPlaced", "OrdersPaid", "OrdersDeclined", "OrdersFulfilled", "CustomersNotified")
_METRICS_OF = {"cancelled order": "OrdersCancelled", "refunded order": "PaymentsRefunded"}
"""The metric that counts each, if the checks saw one."""


def forged_event(visit: Visit) -> str:
    """A payment that nobody made, for the declined order: each consumer that would write fails, and the order stays."""
    order = visit.need("declined order")
    forged = PaymentCompletedEvent(
        metadata=Metadata(event_id=new_id(), occurred_at=clock.timestamp(clock.now()), correlation_id="smoke: forged"),
        data=PaymentCompleted(
            order_id=order["orderId"],
            payment_id=new_id(),
            total_amount=order["totalAmount"],
            currency=order["currency"],
        ),
    )
    entry = {
        "EventBusName": visit.stack.outputs["EventBusName"],
        "Source": PaymentCompletedEvent.source,
        "DetailType": PaymentCompletedEvent.detail_type(),
        "Detail": forged.model_dump_json(by_alias=True),
    }
    [result] = visit.stack.client("events").put_events(Entries=[entry])["Entries"]
    if "EventId" not in result:
        raise CheckFailed(f"EventBridge refused the event: {result.get('ErrorCode')}, {result.get('ErrorMessage')}")
    concerned = filter(flow.writes_orders, flow.consumers()[PaymentCompletedEvent.detail_type()])
    consumers = {visit.stack.function(name) for name in concerned}
    letters = visit.wait(
        "forged event in the dead-letter queue",
        lambda: _letters(visit, result["EventId"]),
        lambda seen: {letter.consumer for letter in seen} >= consumers,
        show=lambda seen: f"{len(seen)} of {len(consumers)} dead letters",
    )
    deleted = purge(visit.stack, letters)
    expect("the number of purged messages", deleted, len(letters))
    path = f"/orders/{order['orderId']}"
    now = call(visit.stack, "GET", path, token=visit.need("customer").token)
    expect("the status of the order after the forged event", now.body["status"], "PAYMENT_FAILED")
    return f"{len(letters)} dead letters, purged by their ids; the order is unchanged"


def _letters(visit: Visit, event_id: str) -> list[DeadLetter]:
    return [letter for letter in dead_letters(visit.stack) if letter.event.get("id") == event_id]


def outage(visit: Visit) -> str:
    """A real dead letter, of an order that is placed while the payment gateway is down, is redriven afterwards."""
    _needs_leave(visit, "payments", "minutes")
    token = visit.need("customer").token
    body = {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"}
    with _gateway_down(visit):
        placed = call(visit.stack, "POST", "/orders", token=token, body=body)
        expect("POST /orders", placed.status, 201)
        order_id = placed.body["orderId"]
        letters = visit.wait(
            "dead letter of the order that can't be paid",
            lambda: [letter for letter in dead_letters(visit.stack) if letter.order_id == order_id],
        )
    delivered = list(redrive(visit.stack, letters))
    expect("the number of redriven messages", len(delivered), len(letters))
    visit.wait(
        "end of the redriven order",
        lambda: call(visit.stack, "GET", f"/orders/{order_id}", token=token).body,
        lambda seen: seen["status"] == "FULFILLED",
        show=lambda seen: str(seen["status"]),
    )
    # The reconciler may have republished the order meanwhile, with a dead letter of its own.
    late = [letter for letter in dead_letters(visit.stack) if letter.order_id == order_id]
    purge(visit.stack, late)
    return "an order placed while the payment gateway was down is fulfilled after a redrive"


def cancelled_before_the_charge(visit: Visit) -> str:
    """While the payment gateway is down nothing is charged, so the cancellation certainly comes first."""
    _needs_leave(visit, "payments", "seconds")
    with _gateway_down(visit):
        order_id = customer_story.place_one(visit)
        expect("the cancellation", customer_story.request_cancellation(visit, order_id), 202)
    # Lambda's retries settle it, a minute later on AWS; the failed attempts may still leave a dead letter.
    seen = customer_story.settled(visit, order_id, "CANCELLED")
    purge(visit.stack, [letter for letter in dead_letters(visit.stack) if letter.order_id == order_id])
    return seen


def cancelled_after_the_charge(visit: Visit) -> str:
    """While no event reaches Fulfillment nothing is shipped: the cancellation comes after the charge, and in time.

    AWS may take a while to disable a rule: an order that is shipped all the same is followed by another.
    """
    _needs_leave(visit, "shipments", "seconds")
    with without_events_for(visit.stack, "fulfillment"):
        order_id = _charged_and_cancelled(visit)
    return customer_story.settled(visit, order_id, "REFUNDED")


def _charged_and_cancelled(visit: Visit) -> str:
    for _ in range(customer_story.ORDERS_TO_CANCEL):
        order_id = customer_story.place_one(visit)
        visit.wait(
            "charge of an order",
            partial(customer_story.look_at, visit, order_id),
            lambda seen: "payment" in seen,
            show=lambda seen: str(seen["status"]),
        )
        if customer_story.request_cancellation(visit, order_id) != 409:
            return order_id
    raise CheckFailed("each order was shipped, although every rule that leads to Fulfillment is disabled")


def _needs_leave(visit: Visit, what: str, how_long: str) -> None:
    if not visit.outage:
        raise NotTried(f"it would hold up everybody's {what} for some {how_long}; on a stage of your own: --outage")


@contextmanager
def _gateway_down(visit: Visit) -> Iterator[None]:
    if gateway(visit.stack) == "down":
        raise CheckFailed("the payment gateway is down already: npm run break-it -- gateway up")
    try:
        switch_gateway(visit.stack, "down")
        yield
    finally:
        switch_gateway(visit.stack, "up")


def alarms(visit: Visit) -> str:
    names = [name for kind in ("Alarm", "CompositeAlarm") for name in _ids(visit, f"AWS::CloudWatch::{kind}")]
    if not names:
        raise CheckFailed("the stack has no alarms")
    response = visit.stack.client("cloudwatch").describe_alarms(
        AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=100
    )
    found = {
        alarm["AlarmName"]: alarm for kind in ("MetricAlarms", "CompositeAlarms") for alarm in response.get(kind, [])
    }
    if missing := set(names) - found.keys():
        raise CheckFailed(f"no alarm {', '.join(sorted(missing))}")
    if silent := [name for name, alarm in found.items() if not (alarm.get("ActionsEnabled") and alarm["AlarmActions"])]:
        raise CheckFailed(f"these notify nobody: {', '.join(sorted(silent))}")
    return f"all {len(names)} of the template are in CloudWatch, with an action"


def rules(visit: Visit) -> str:
    """Each is enabled and has a target. On AWS the id of a rule on another bus than the default is `bus|rule`."""
    names = {name.rpartition("|")[2] for name in _ids(visit, "AWS::Events::Rule")}
    events, deployed = visit.stack.client("events"), {}
    for bus in (visit.stack.outputs["EventBusName"], "default"):
        for page in events.get_paginator("list_rules").paginate(EventBusName=bus):
            deployed.update({rule["Name"]: (bus, rule) for rule in page["Rules"] if rule["Name"] in names})
    if missing := names - deployed.keys():
        raise CheckFailed(f"no rule {', '.join(sorted(missing))}")
    for name, (bus, rule) in sorted(deployed.items()):
        expect(f"the rule {name}", rule["State"], "ENABLED")
        if not events.list_targets_by_rule(Rule=name, EventBusName=bus).get("Targets"):
            raise CheckFailed(f"the rule {name} has no target")
    return f"all {len(names)} are enabled and have a target"


def subscriptions(visit: Visit) -> str:
    """The topic of notifications feeds the queue, and the queue feeds the function."""
    queue_url, topic = visit.stack.outputs["NotificationQueueUrl"], visit.stack.outputs["OrderNotificationTopicArn"]
    attributes = visit.stack.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    queue = attributes["Attributes"]["QueueArn"]
    listed = visit.stack.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    if not [each for each in listed if each["Endpoint"] == queue and each["SubscriptionArn"].startswith("arn:")]:
        raise CheckFailed("the topic of notifications has no confirmed subscription of the queue")
    mappings = visit.stack.client("lambda").list_event_source_mappings(
        FunctionName=visit.stack.function("notification"), EventSourceArn=queue
    )
    states = [mapping["State"] for mapping in mappings["EventSourceMappings"]]
    expect("the state of the queue's mapping", states, ["Enabled"])
    return "topic → queue → Notification"


def metrics(visit: Visit) -> str:
    """By GetMetricStatistics: ListMetrics shows a new metric only after up to 15 minutes."""
    if not visit.is_aws:
        raise NotTried("not on this stage: the embedded AWS has no metrics from logs")
    visit.need("approved order")
    cloudwatch = visit.stack.client("cloudwatch")
    names = [*_METRICS, *(name for what, name in _METRICS_OF.items() if visit.has(what))]

    def unseen() -> list[str]:
        return [name for name in names if not _sum(visit, cloudwatch, name)]

    visit.wait("sum of each business metric", unseen, lambda seen: not seen, show=lambda seen: f"no {', '.join(seen)}")
    return ", ".join(names)


def _sum(visit: Visit, cloudwatch: Any, name: str) -> float:
    response = cloudwatch.get_metric_statistics(
        Namespace="OrderProcessing",
        MetricName=name,
        Dimensions=[{"Name": "service", "Value": visit.stack.name}],
        StartTime=visit.started - timedelta(minutes=1),
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in response["Datapoints"]))


def _ids(visit: Visit, kind: str) -> Iterator[str]:
    """The physical ids of the stack's resources of a type, as the template has them."""
    pages = visit.stack.client("cloudformation").get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=visit.stack.name):
        for each in page["StackResourceSummaries"]:
            if each["ResourceType"] == kind and each["ResourceStatus"] != "DELETE_COMPLETE":
                yield each["PhysicalResourceId"]
