"""The Postman collection, generated from the OpenAPI document: sign in, follow an order, and see refused requests.

Each request checks the status of its response. On the local stack the first folder makes an account and reads the code
from the local mailbox; on AWS it is skipped, and you sign in with the account that the environment names.
"""

import json
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
_SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_SECRET = {"password", "idToken"}
_UNKNOWN_ORDER = "00000000-0000-4000-8000-000000000000"

_ONLY_WITH_MAILBOX = "if (!pm.environment.get('mailboxUrl')) { pm.execution.skipRequest(); }"
_NEW_ADDRESS = "pm.environment.set('email', `postman-${Date.now()}@example.com`);"
_KEEP_CODE = """const messages = Object.values(pm.response.json().messages).flat();
const message = messages.find((each) => each.To.includes(pm.environment.get('email')));
pm.collectionVariables.set('code', message.BodyText.match(/\\d{6}/)[0]);"""
_KEEP_TOKENS = """const tokens = pm.response.json().AuthenticationResult;
pm.environment.set('idToken', tokens.IdToken);
pm.collectionVariables.set('accessToken', tokens.AccessToken);"""
_NEW_KEY = "pm.collectionVariables.set('key', pm.variables.replaceIn('{{$guid}}'));"
_KEEP_ORDER_ID = "pm.collectionVariables.set('orderId', pm.response.json().orderId);"


def collection(document: Mapping[str, Any]) -> Json:
    """The collection, to import into Postman."""
    api = _Requests(document)
    order = document["paths"]["/orders"]["post"]["requestBody"]["content"]["application/json"]["examples"]["approved"]
    body = order["value"]
    return {
        "info": {"name": document["info"]["title"], "schema": _SCHEMA, "description": __doc__},
        "auth": _bearer("{{idToken}}"),
        "item": [
            {
                "name": "An account (local stack)",
                "event": [_script("prerequest", _ONLY_WITH_MAILBOX)],
                "item": [_sign_up(), _read_code(), _confirm()],
            },
            {"name": "Sign in", "item": [_sign_in()]},
            {
                "name": "An order",
                "item": [
                    api.request("products", 200),
                    api.request("placeOrder", 201, body=body, key="{{key}}", before=_NEW_KEY, after=_KEEP_ORDER_ID),
                    api.request("placeOrder", 200, name="Repeat it with the same key", body=body, key="{{key}}"),
                    api.request("cancelOrder", (202, 409), name="Cancel it, unless it is shipped already"),
                    api.request("cancelOrder", (200, 409), name="Cancel it again"),
                    api.request("getOrder", 200),
                    api.request("listOrders", 200),
                    api.request("listEvents", 200),
                ],
            },
            {
                "name": "What is refused",
                "item": [
                    api.request("placeOrder", 422, name="An order without items", body={**body, "items": []}),
                    api.request("placeOrder", 415, name="An order that is not JSON", body=body, content="text/plain"),
                    api.request("placeOrder", 400, name="A key that is too long", body=body, key="k" * 256),
                    api.request("getOrder", 404, name="An unknown order", order_id=_UNKNOWN_ORDER),
                    api.request("cancelOrder", 404, name="Cancel an unknown order", order_id=_UNKNOWN_ORDER),
                    api.request("listOrders", 403, name="The access token", auth=_bearer("{{accessToken}}")),
                    api.request("listOrders", 401, name="No token", auth={"type": "noauth"}),
                ],
            },
        ],
    }


def environments() -> dict[str, Json]:
    """One for AWS, with the values of `sls info`, and one for the local stack, which `npm start` fills in.

    `local.launcher.postman` does that; the token of `Sign in` replaces the one that it put there.
    """
    filled_in = "import .local/postman.json instead: npm start fills it in"
    local = {
        "apiUrl": filled_in,
        "cognitoUrl": "http://127.0.0.1:4566",
        "userPoolClientId": filled_in,
        "mailboxUrl": "http://127.0.0.1:4566/_ministack/ses/messages",
        "email": "",
        "password": "Secret-password-1",
        "idToken": "",
    }
    aws = {
        "apiUrl": "output HttpApiUrl",
        "cognitoUrl": "https://cognito-idp.us-east-1.amazonaws.com",
        "userPoolClientId": "output UserPoolClientId",
        "mailboxUrl": "",
        "email": "the e-mail address of an account that is confirmed",
        "password": "",
        "idToken": "",
    }
    return {
        name: {
            "name": f"Order processing, {name}",
            "values": [
                {
                    "key": key,
                    "value": value,
                    "enabled": True,
                    "type": "secret" if key in _SECRET else "default",
                }
                for key, value in values.items()
            ],
        }
        for name, values in {"local": local, "aws": aws}.items()
    }


class _Requests:
    """Makes requests of the document's operations, by their ids. Raises KeyError for a status that none of them has."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    def request(
        self,
        operation_id: str,
        status: int | tuple[int, ...],
        *,
        name: str = "",
        body: Any = None,
        key: str = "",
        order_id: str = "{{orderId}}",
        auth: Json | None = None,
        content: str = "application/json",
        before: str = "",
        after: str = "",
    ) -> Json:
        method, path, operation = self._operations[operation_id]
        expected = (status,) if isinstance(status, int) else status
        for each in expected:
            assert str(each) in operation["responses"], f"{operation_id} never responds with {each}"
        headers = [{"key": "Content-Type", "value": content}] if body is not None else []
        headers += [{"key": "Idempotency-Key", "value": key}] if key else []
        request: Json = {"method": method, "header": headers, "url": "{{apiUrl}}" + path.replace("{orderId}", order_id)}
        if body is not None:
            request["body"] = {"mode": "raw", "raw": json.dumps(body, indent=2)}
        if auth:
            request["auth"] = auth
        return _item(name or operation["summary"], expected, request, before, after)


def _sign_up() -> Json:
    body = {
        "ClientId": "{{userPoolClientId}}",
        "Username": "{{email}}",
        "Password": "{{password}}",
        "UserAttributes": [{"Name": "email", "Value": "{{email}}"}],
    }
    return _cognito("Sign up", "SignUp", body, before=_NEW_ADDRESS)


def _read_code() -> Json:
    request = {"method": "GET", "header": [], "url": "{{mailboxUrl}}", "auth": {"type": "noauth"}}
    return _item("Read the code", (200,), request, "", _KEEP_CODE)


def _confirm() -> Json:
    body = {"ClientId": "{{userPoolClientId}}", "Username": "{{email}}", "ConfirmationCode": "{{code}}"}
    return _cognito("Confirm", "ConfirmSignUp", body)


def _sign_in() -> Json:
    body = {
        "ClientId": "{{userPoolClientId}}",
        "AuthFlow": "USER_PASSWORD_AUTH",
        "AuthParameters": {"USERNAME": "{{email}}", "PASSWORD": "{{password}}"},
    }
    return _cognito("Sign in", "InitiateAuth", body, after=_KEEP_TOKENS)


def _cognito(name: str, operation: str, body: Json, *, before: str = "", after: str = "") -> Json:
    request = {
        "method": "POST",
        "header": [
            {"key": "Content-Type", "value": "application/x-amz-json-1.1"},
            {"key": "X-Amz-Target", "value": f"AWSCognitoIdentityProviderService.{operation}"},
        ],
        "url": "{{cognitoUrl}}/",
        "auth": {"type": "noauth"},
        "body": {"mode": "raw", "raw": json.dumps(body, indent=2)},
    }
    return _item(name, (200,), request, before, after)


def _item(name: str, statuses: tuple[int, ...], request: Json, before: str, after: str) -> Json:
    wanted = " or ".join(map(str, statuses))
    checks = f"pm.test('{wanted}', () => pm.expect(pm.response.code).to.be.oneOf({[*statuses]}));\n{after}".strip()
    events = [_script("prerequest", before)] if before else []
    return {"name": name, "event": [*events, _script("test", checks)], "request": request}


def _script(listen: str, text: str) -> Json:
    return {"listen": listen, "script": {"type": "text/javascript", "exec": text.split("\n")}}


def _bearer(token: str) -> Json:
    return {"type": "bearer", "bearer": [{"key": "token", "value": token, "type": "string"}]}
