"""MiniStack, with what it lacks of AWS and this system needs. Run as a process of its own: `python -m local.bridge`.

    EventBridge → Lambda       retries and the on-failure destination, as for every asynchronous invocation
    CloudFormation             AWS::Events::Archive
    IAM                        events:source and events:detail-type of each entry; ses:FromAddress, and the identity
    Lambda                     functions run on the bare interpreter, so that only what is packaged can be imported

docs/emulator.md lists these and the differences that stay; tests/local pins each. A name of MiniStack's that is gone
stops the start with one line: better than an emulator that is quietly kinder than AWS.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, responses
from ministack.services import eventbridge, lambda_svc
from ministack.services.cloudformation import provisioners

Context = dict[str, Any]

_judged: ContextVar[tuple[Context, ...]] = ContextVar("_judged", default=())
"""The condition keys that IAM must judge the request under way by, one set for each of its entries."""


def replace(module: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(original)` in the place of a module's name."""
    if not hasattr(module, name):
        sys.exit(f"This MiniStack has no {module.__name__}.{name}: local/bridge.py does not fit its version")
    setattr(module, name, make(getattr(module, name)))


# --- EventBridge → Lambda --------------------------------------------------------------------------------------------


def invoke_with_retries(_original: Any) -> Any:
    def dispatch(arn: str, payload: str) -> None:
        function, configuration, name = lambda_svc._get_func_record_for_ref(arn)
        if not function or not configuration:
            eventbridge.logger.warning("EventBridge → Lambda: there is no function %s", name)
            return
        record = lambda_svc._execution_record_for_config(function, configuration)
        lambda_svc.invoke_async_with_retry(record, json.loads(payload))

    return dispatch


# --- CloudFormation: AWS::Events::Archive ----------------------------------------------------------------------------

Provisioned = tuple[str, dict[str, str]]  # what Ref gives, and what GetAtt gives


def _archive(operation: Callable[[dict[str, Any]], tuple[int, Any, bytes]], name: str, properties: Context) -> None:
    status, _, body = operation(
        {
            "ArchiveName": name,
            "EventSourceArn": properties["SourceArn"],
            "Description": properties.get("Description", ""),
            "EventPattern": json.dumps(properties["EventPattern"]) if "EventPattern" in properties else "",
            "RetentionDays": int(properties.get("RetentionDays", 0)),
        }
    )
    if status != 200:
        raise ValueError(f"AWS::Events::Archive {name}: {body!r}")


def _provisioned(name: str) -> Provisioned:
    return name, {"ArchiveName": name, "Arn": eventbridge._archives[name]["ArchiveArn"]}


def create_archive(logical_id: str, properties: Context, stack_name: str) -> Provisioned:
    name = properties.get("ArchiveName") or f"{stack_name}-{logical_id}"
    _archive(eventbridge._create_archive, name, properties)
    return _provisioned(name)


def update_archive(name: str, _old: Context, properties: Context, stack_name: str) -> Provisioned:
    if properties.get("ArchiveName", name) != name or properties["SourceArn"] != _old["SourceArn"]:
        return create_archive(name, properties, stack_name)
    _archive(eventbridge._update_archive, name, properties)
    return _provisioned(name)


def delete_archive(name: str, _properties: Context) -> None:
    eventbridge._delete_archive({"ArchiveName": name})


def with_archive(handlers: dict[str, Any]) -> dict[str, Any]:
    if "AWS::Events::Archive" in handlers:
        sys.exit("This MiniStack has AWS::Events::Archive: take it out of local/bridge.py")
    handlers["AWS::Events::Archive"] = {"create": create_archive, "update": update_archive, "delete": delete_archive}
    return handlers


# --- IAM condition keys ----------------------------------------------------------------------------------------------


def remember_entries(original: Any) -> Any:
    """AWS judges each entry of PutEvents by its own source and detail type."""

    def request_tag_context(service: str, iam_action: str, body: bytes, params: Context) -> Context:
        entries = json.loads(body or b"{}").get("Entries", []) if iam_action == "events:PutEvents" else []
        _judged.set(
            tuple(
                {"events:source": entry.get("Source", ""), "events:detail-type": entry.get("DetailType", "")}
                for entry in entries
            )
        )
        context: Context = original(service, iam_action, body, params)
        return context

    return request_tag_context


def remember_sender(original: Any) -> Any:
    """AWS judges an e-mail by its From address."""

    def enforce_ses_v2(method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
        sends = method == "POST" and path == "/v2/email/outbound-emails"
        _judged.set(({"ses:FromAddress": json.loads(body).get("FromEmailAddress", "")},) if sends else ())
        return original(method, path, headers, body, *rest)

    return enforce_ses_v2


def judge_each(original: Any) -> Any:
    """Ask IAM once for each remembered set of keys; the first refusal stands."""

    def enforce(
        access_key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: Any = None
    ) -> Any:
        if action not in ("events:PutEvents", "ses:SendEmail"):
            return original(access_key, action, service, region, resource_arn, service_context)
        for keys in _judged.get() or ({},):
            arn = resource_arn
            if sender := keys.get("ses:FromAddress"):
                arn = f"arn:aws:ses:{region}:{responses.get_account_id()}:identity/{sender}"
            refusal = original(access_key, action, service, region, arn, {**(service_context or {}), **keys})
            if refusal:
                return refusal
        return None

    return enforce


# --- Lambda ----------------------------------------------------------------------------------------------------------


def on_the_bare_interpreter(original: Any) -> Any:
    """A function must not find the packages of the emulator's own environment."""

    def detect_runtime_binary(runtime: str) -> tuple[str, str]:
        binary, script = original(runtime)
        return (getattr(sys, "_base_executable", binary) if binary == sys.executable else binary), script

    return detect_runtime_binary


# ---------------------------------------------------------------------------------------------------------------------


def stop_with_parent() -> None:
    """End when standard input does: the launcher holds its other end, and even a kill -9 closes it."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    replace(eventbridge, "_dispatch_to_lambda", invoke_with_retries)
    replace(provisioners, "_RESOURCE_HANDLERS", with_archive)
    replace(iam_actions, "request_tag_context", remember_entries)
    replace(iam_evaluator, "enforce", judge_each)
    replace(app, "_enforce_ses_v2", remember_sender)
    replace(lambda_runtime, "_detect_runtime_binary", on_the_bare_interpreter)
    stop_with_parent()
    app.main()


if __name__ == "__main__":
    main()
