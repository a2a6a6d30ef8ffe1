"""Asynchronous invocation as Lambda does it: retries, throttling, and the on-failure destination in AWS's format.

MiniStack has this for `Invoke` only and delivers an event of EventBridge once. Its version treats a throttled
invocation as a success, which loses the event; always counts three attempts; and sends the record to the queue without
checking whether the function's role may.
"""

import json
import logging
import os
import threading
import time
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from ministack.core import lambda_runtime
from ministack.services import eventbridge, lambda_svc

from local.emulator.bridge.deletion import Function, exists
from local.emulator.bridge.functions import AT_ONCE
from local.emulator.bridge.patching import replace, require

_log = logging.getLogger("bridge")
_FIRST_RETRY_SECONDS = float(os.environ.get("LAMBDA_ASYNC_RETRY_BASE_SECONDS", "60"))
"""Seconds before the first retry, twice as many before the second; a minute on AWS."""

_THROTTLED_RETRY_SECONDS = 1.0
"""Seconds before a throttled event is tried again; on AWS from one second, growing, to five minutes."""

_lines: dict[str, threading.BoundedSemaphore] = {}
"""By function. An event that waits here does not count as running; otherwise most of thousands would be throttled."""


def install() -> None:
    require(lambda_svc, "_get_func_record_for_ref", "_execution_record_for_config", "_execute_function_dispatch")
    require(lambda_svc, "_acquire_execution_slot", "_release_execution_slot")
    require(lambda_runtime, "execution_credentials")
    replace(lambda_svc, "invoke_async_with_retry", lambda _: invoke)
    replace(eventbridge, "_dispatch_to_lambda", lambda _: invoke_target)


def invoke_target(arn: str, payload: str) -> None:
    """Deliver an event to the function that is a rule's target."""
    function, configuration, name = lambda_svc._get_func_record_for_ref(arn)
    if not function or not configuration:
        _log.warning("EventBridge can't deliver: there is no function %s", name)
        return
    invoke(lambda_svc._execution_record_for_config(function, configuration), json.loads(payload))


def invoke(function: Function, event: Any) -> None:
    """Accept the event and handle it in a thread of its own, in this account and region."""
    threading.Thread(target=copy_context().run, args=(_work_off, function, event), daemon=True).start()


def _work_off(function: Function, event: Any) -> None:
    """Invoke until it succeeds, the attempts are used up or the event is too old; then send it to its destination."""
    options = function.get("event_invoke_config") or function.get("event_invoke_configs", {}).get("$LATEST") or {}
    attempts_left = 1 + options.get("MaximumRetryAttempts", 2)
    too_old_at = time.monotonic() + options.get("MaximumEventAgeInSeconds", 21600)
    request_id, pause, attempts, response = str(uuid4()), _FIRST_RETRY_SECONDS, 0, None
    while True:
        if not exists(function):
            _log.warning("%s was deleted, and with it an event that waited for it", function["config"]["FunctionName"])
            return
        result = _attempt(function, event, request_id)
        if result is None:
            condition, wait = "EventAgeExceeded", _THROTTLED_RETRY_SECONDS
        elif not result.get("error"):
            return
        else:
            attempts, response = attempts + 1, result["body"]
            condition, wait = "EventAgeExceeded", pause
            pause *= 2
            if attempts == attempts_left:
                condition = "RetriesExhausted"
                break
        if time.monotonic() + wait > too_old_at:
            break
        time.sleep(wait)
    _keep(function, options, _record(function["config"], event, request_id, condition, attempts, response))


def _attempt(function: Function, event: Any, request_id: str) -> dict[str, Any] | None:
    """One invocation: `{"body": …}`, with a true `error` where it failed; None if it was throttled."""
    line = _lines.setdefault(function["config"]["FunctionArn"], threading.BoundedSemaphore(AT_ONCE))
    with line:
        found, configuration, _ = lambda_svc._get_func_record_for_ref(function["config"]["FunctionArn"])
        if found and configuration:  # its configuration may have changed while the event waited
            function = lambda_svc._execution_record_for_config(found, configuration)
        slot, _ = lambda_svc._acquire_execution_slot(function, function["config"])
        if slot is None:
            return None
        try:
            result: dict[str, Any] = lambda_svc._execute_function_dispatch(
                function, function["config"], event, request_id, time.time()
            )
        finally:
            lambda_svc._release_execution_slot(slot)
        return None if result.get("throttle") else result


def _record(
    configuration: dict[str, Any], event: Any, request_id: str, condition: str, attempts: int, response: Any
) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html"""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "version": "1.0",
        "timestamp": now,
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{configuration['FunctionArn']}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": response,
    }


def _keep(function: Function, options: dict[str, Any], record: dict[str, Any]) -> None:
    """Send the record to the on-failure queue as the function's role, like Lambda; without the right, it is lost."""
    name = function["config"]["FunctionName"]
    destination = options.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    if not destination:
        return
    _, _, service, region, account, queue = destination.split(":")
    if service != "sqs":
        _log.error("%s: an on-failure destination other than SQS is not bridged: %s", name, destination)
        return
    role = lambda_runtime.execution_credentials(function["config"])
    endpoint = f"http://{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"
    session = boto3.Session(
        role["AWS_ACCESS_KEY_ID"], role["AWS_SECRET_ACCESS_KEY"], role["AWS_SESSION_TOKEN"], region_name=region
    )
    try:
        session.client("sqs", endpoint_url=endpoint).send_message(
            QueueUrl=f"{endpoint}/{account}/{queue}", MessageBody=json.dumps(record)
        )
    except (ClientError, BotoCoreError) as error:
        _log.error("%s: the on-failure record is lost: %s", name, error)
