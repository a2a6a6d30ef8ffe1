"""`.local/postman.json`: the environment of docs/postman/local.json, filled in for the running stack."""

import json
from collections.abc import Mapping
from typing import Any

from operations.customer import ShopAccount
from tools.checkout import ROOT

_TEMPLATE = ROOT / "docs" / "postman" / "local.json"
_SECRET = {"password", "idToken"}


def environment(stack: Mapping[str, Any], customer: ShopAccount) -> dict[str, Any]:
    """The environment to import into Postman, signed in as the customer until the token expires.

    `stack` is the content of `stack.json`.
    """
    values = {
        "apiUrl": stack["apiUrl"],
        "cognitoUrl": stack["endpointUrl"],
        "userPoolClientId": stack["UserPoolClientId"],
        "mailboxUrl": f"{stack['endpointUrl']}/_ministack/ses/messages",
        "email": customer.email,
        "password": customer.password,
        "idToken": customer.token,
    }
    return {
        "name": json.loads(_TEMPLATE.read_text())["name"],
        "values": [
            {"key": key, "value": value, "enabled": True, "type": "secret" if key in _SECRET else "default"}
            for key, value in values.items()
        ],
    }
