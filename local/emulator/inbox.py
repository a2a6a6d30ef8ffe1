"""The e-mails that the embedded AWS keeps instead of delivering them."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

_COGNITO = "no-reply@verificationemail.com"


def messages(endpoint_url: str, email: str) -> list[Mapping[str, Any]]:
    """All e-mails to an address, oldest first: `MessageId`, `Subject`, `BodyText`, `BodyHtml`, `Timestamp`."""
    with urllib.request.urlopen(f"{endpoint_url}/_ministack/ses/messages", timeout=10) as response:
        sent = [message for account in json.load(response)["messages"].values() for message in account]
    return [message for message in sent if email in message["To"]]


def inbox(endpoint_url: str, email: str) -> list[Mapping[str, Any]]:
    """The e-mails that the system sent through SES, without Cognito's."""
    return [message for message in messages(endpoint_url, email) if message["Source"] != _COGNITO]
