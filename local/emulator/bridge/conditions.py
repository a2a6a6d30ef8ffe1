"""The condition keys with which IAM evaluates a function's PutEvents and SendEmail, and the e-mail's resource.

AWS evaluates a call of PutEvents once, for all its entries: `events:source` and `events:detail-type` have a value for
each entry (ArrayOfString, in the Service Authorization Reference); an entry without a value adds none. An e-mail is
evaluated by its `ses:FromAddress`, on the sender's identity. MiniStack evaluates both without these keys, and an e-mail
on another resource.
"""

import json
from collections.abc import Mapping
from contextvars import ContextVar
from email.utils import parseaddr
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, responses

from local.emulator.bridge.patching import replace, require

Keys = Mapping[str, str | list[str]]

_keys: ContextVar[Keys] = ContextVar("_keys")
"""The condition keys of the request under way."""


def install() -> None:
    require(responses, "get_account_id")
    replace(iam_actions, "request_tag_context", remember_entries)
    replace(app, "_enforce_ses_v2", remember_sender)
    replace(iam_evaluator, "enforce", judge)


def remember_entries(original: Any) -> Any:
    def request_tag_context(service: str, iam_action: str, body: bytes, params: Any) -> Any:
        entries = json.loads(body or b"{}").get("Entries", []) if iam_action == "events:PutEvents" else []
        named = {
            "events:source": [entry["Source"] for entry in entries if entry.get("Source")],
            "events:detail-type": [entry["DetailType"] for entry in entries if entry.get("DetailType")],
        }
        _keys.set({key: values for key, values in named.items() if values})
        return original(service, iam_action, body, params)

    return request_tag_context


def remember_sender(original: Any) -> Any:
    def enforce_ses_v2(method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
        sends = method == "POST" and path == "/v2/email/outbound-emails"
        sender = parseaddr(json.loads(body).get("FromEmailAddress", ""))[1] if sends else ""
        _keys.set({"ses:FromAddress": sender} if sends else {})
        return original(method, path, headers, body, *rest)

    return enforce_ses_v2


def judge(original: Any) -> Any:
    def enforce(
        access_key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: Any = None
    ) -> Any:
        if action not in ("events:PutEvents", "ses:SendEmail"):
            return original(access_key, action, service, region, resource_arn, service_context)
        keys = _keys.get()
        if "ses:FromAddress" in keys:
            resource_arn = f"arn:aws:ses:{region}:{responses.get_account_id()}:identity/{keys['ses:FromAddress']}"
        return original(access_key, action, service, region, resource_arn, {**(service_context or {}), **keys})

    return enforce
