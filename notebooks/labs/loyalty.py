"""The labs of notebook 13: the reader's function and alarm are deployed, get events, and are made to fail."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from notebooks import own_service, reader
from notebooks.labs.verdict import Verdict
from operations.stack import Stack
from orders.events import new_id

_WISHES = ({"KETTLE": 1}, {"COFFEE-1KG": 1, "MUG": 2})
_ALARM_SECONDS = 600


# --- 13.1: once for each order ----------------------------------------------------------------------------------------


def points_once(name: Any, code: Any) -> Verdict:
    """Each order earns its points once, whatever is delivered after the bus has delivered its event."""
    if not isinstance(name, str) or not isinstance(code, str):
        return Verdict(False, 'pass the name and the code: `tour.check("13.1", name, my_code)`.')
    try:
        compile(code, "loyalty.py", "exec")
    except SyntaxError as error:
        return Verdict(False, f"your code isn't valid Python: {error}.")
    stack = reader.the_stack()
    functions = stack.client("lambda")
    functions.update_function_code(FunctionName=name, ZipFile=own_service.package(stack, code))
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    customer = reader.customer()
    for wish in _WISHES:
        items = [{"sku": sku, "quantity": quantity} for sku, quantity in wish.items()]
        placed = customer.post("/orders", {"items": items, "paymentMethod": "tok_visa"})
        order, rows = reader.follow(placed["orderId"])
        [paid] = [row for row in rows if row["eventType"] == "PaymentCompletedEvent"][:1]
        if wrong := _not_once(stack, name, reader.envelope_of(paid), order["totalAmount"] // 100):
            return Verdict(False, wrong)
    return Verdict(True, "each order earned its points once, whatever was delivered after that.")


def _not_once(stack: Stack, name: str, event: Mapping[str, Any], points: int) -> str | None:
    """What is wrong after one of the deliveries; None where nothing is."""
    order_id = event["detail"]["data"]["orderId"]
    for delivery, delivered, may_fail in deliveries(event):
        error = _error_of(stack, name, delivered)
        if error and not may_fail:
            return f"your function fails on {delivery}: {error}"
        if (stored := _points(stack, name, order_id)) != points:
            return f"after {delivery}, the order has {stored or 'no'} points; it should have {points}."
    if not _error_of(stack, name, unreadable(event)):
        return "your function accepts an event whose amount is text. Raise an exception, so that the event is kept."
    return None


def deliveries(event: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """What comes after the bus has delivered the event; the last one is forged, and a function may fail on it."""
    yield "a second delivery", event, False
    yield "a third delivery, with another id from EventBridge", {**event, "id": new_id()}, False
    forged = deepcopy(dict(event))
    forged["id"] = forged["detail"]["metadata"]["eventId"] = new_id()
    forged["detail"]["data"]["totalAmount"] = 99_999_900
    yield "a forged event", forged, True


def unreadable(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event for an unknown order, with its amount as text."""
    broken = deepcopy(dict(event))
    broken["detail"]["data"] |= {"orderId": new_id(), "totalAmount": "49.50"}
    return broken


def _points(stack: Stack, table: str, order_id: str) -> int | None:
    response = stack.client("dynamodb").get_item(TableName=table, Key={"orderId": {"S": order_id}}, ConsistentRead=True)
    return int(response["Item"]["points"]["N"]) if "Item" in response else None


def _error_of(stack: Stack, name: str, event: Mapping[str, Any]) -> str | None:
    """Invoke the function and wait for it; return the error that it ends with, if any."""
    response = stack.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return str(json.load(response["Payload"])["errorMessage"]) if "FunctionError" in response else None


# --- 13.2: an alarm ---------------------------------------------------------------------------------------------------


def alarm_notifies(name: Any, alarm_name: Any) -> Verdict:
    """The alarm watches the function's errors; when the function fails, its topic gets the notification."""
    if not isinstance(name, str) or not isinstance(alarm_name, str):
        return Verdict(False, "create an alarm with `cloudwatch.put_metric_alarm`, and pass its name.")
    stack = reader.the_stack()
    cloudwatch = stack.client("cloudwatch")
    alarms = cloudwatch.describe_alarms(AlarmNames=[alarm_name])["MetricAlarms"]
    if not alarms:
        return Verdict(False, f"there is no alarm `{alarm_name}`.")
    if fault := fault_of(alarms[0], name):
        return Verdict(False, fault)
    [topic] = [action for action in alarms[0]["AlarmActions"] if ":sns:" in action][:1]
    with _inbox(stack, topic, name) as received:
        cloudwatch.set_alarm_state(AlarmName=alarm_name, StateValue="OK", StateReason="The lab begins")
        _error_of(stack, name, {"detail-type": "PaymentCompletedEvent", "detail": "not an event"})

        def notified() -> bool:
            if stack.endpoint_url:
                _evaluate(cloudwatch, alarms[0])
            return any(each.get("NewStateValue") == "ALARM" for each in received())

        reader.wait_until(notified, "the notification of your alarm", seconds=_ALARM_SECONDS)
    return Verdict(True, "your function failed once, the alarm fired, and its topic got the notification.")


def fault_of(alarm: Mapping[str, Any], function: str) -> str | None:
    """Why an alarm would not fire exactly when an invocation of this function fails; None if it would."""
    watched = {each["Name"]: each["Value"] for each in alarm.get("Dimensions", [])}
    if (alarm.get("Namespace"), alarm.get("MetricName")) != ("AWS/Lambda", "Errors"):
        return "the alarm should watch the metric `Errors` in the namespace `AWS/Lambda`."
    if watched != {"FunctionName": function}:
        return f"the alarm watches `{watched}`; it should watch one function: `FunctionName` is `{function}`."
    if alarm.get("Statistic") not in ("Sum", "Maximum"):
        return "one failure among many successes makes a low average: use the statistic `Sum`."
    if not _breaches(alarm, 1) or _breaches(alarm, 0):
        return "the alarm should fire at one error in a period, and not at none: look at its threshold and comparison."
    if alarm["EvaluationPeriods"] > 1 or alarm["Period"] > 300:
        return "the alarm should fire within five minutes: use one evaluation period of at most 300 seconds."
    if not alarm.get("ActionsEnabled", True) or not any(":sns:" in each for each in alarm.get("AlarmActions", [])):
        return "the alarm notifies nobody: its `AlarmActions` should have the topic's ARN."
    return None


def _breaches(alarm: Mapping[str, Any], value: float) -> bool:
    comparisons: Mapping[str, Callable[[float], bool]] = {
        "GreaterThanOrEqualToThreshold": lambda threshold: value >= threshold,
        "GreaterThanThreshold": lambda threshold: value > threshold,
        "LessThanThreshold": lambda threshold: value < threshold,
        "LessThanOrEqualToThreshold": lambda threshold: value <= threshold,
    }
    return comparisons[alarm["ComparisonOperator"]](alarm["Threshold"])


def _evaluate(cloudwatch: Any, alarm: Mapping[str, Any]) -> None:
    """Write the alarm unchanged: the embedded AWS evaluates an alarm only when it's written."""
    settings = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    cloudwatch.put_metric_alarm(**{key: value for key, value in alarm.items() if key in settings})


@contextmanager
def _inbox(stack: Stack, topic: str, name: str) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Subscribe a queue to the topic for as long as the block runs; yield a function that receives its messages."""
    sns, sqs = stack.client("sns"), stack.client("sqs")
    url = sqs.create_queue(QueueName=f"{name}-inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)

    def received() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]

    try:
        yield received
    finally:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        sqs.delete_queue(QueueUrl=url)
