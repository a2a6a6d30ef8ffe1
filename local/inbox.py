"""What the embedded AWS sent instead of delivering it."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

_COGNITO = "no-reply@verificationemail.com"


def inbox(endpoint_url: str, email: str) -> list[Mapping[str, Any]]:
    """The e-mails that SES sent to an address, oldest first: `Subject`, `BodyText`, `BodyHtml`. None of Cognito's."""
    with urllib.request.urlopen(f"{endpoint_url}/_ministack/ses/messages", timeout=10) as response:
        messages = [message for account in json.load(response)["messages"].values() for message in account]
    return [message for message in messages if email in message["To"] and message["Source"] != _COGNITO]
