"""The condition keys by which IAM judges what a function publishes and mails, and the e-mail's resource.

AWS judges each entry of PutEvents by its own `events:source` and `events:detail-type`, and an e-mail by its
`ses:FromAddress`, on the sender's identity. MiniStack asks once, on what it takes for the resource, with none of these.
"""

import json
from contextvars import ContextVar
from email.utils import parseaddr
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, responses

from local.bridge.patching import replace, require

Keys = dict[str, str]

_judged: ContextVar[tuple[Keys, ...]] = ContextVar("_judged", default=())
"""The condition keys to judge the request under way by, one set for each of its entries."""


def install() -> None:
    require(responses, "get_account_id")
    replace(iam_actions, "request_tag_context", remember_entries)
    replace(app, "_enforce_ses_v2", remember_sender)
    replace(iam_evaluator, "enforce", judge_each)


def remember_entries(original: Any) -> Any:
    def request_tag_context(service: str, iam_action: str, body: bytes, params: Any) -> Any:
        entries = json.loads(body or b"{}").get("Entries", []) if iam_action == "events:PutEvents" else []
        keys = [
            {"events:source": entry.get("Source", ""), "events:detail-type": entry.get("DetailType", "")}
            for entry in entries
        ]
        _judged.set(tuple(keys))
        return original(service, iam_action, body, params)

    return request_tag_context


def remember_sender(original: Any) -> Any:
    def enforce_ses_v2(method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
        sends = method == "POST" and path == "/v2/email/outbound-emails"
        sender = parseaddr(json.loads(body).get("FromEmailAddress", ""))[1] if sends else ""
        _judged.set(({"ses:FromAddress": sender},) if sends else ())
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
            if "ses:FromAddress" in keys:
                arn = f"arn:aws:ses:{region}:{responses.get_account_id()}:identity/{keys['ses:FromAddress']}"
            refusal = original(access_key, action, service, region, arn, {**(service_context or {}), **keys})
            if refusal:
                return refusal
        return None

    return enforce
