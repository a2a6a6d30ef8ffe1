"""The Postman collection, made from the OpenAPI document: it signs in by itself and follows an order to its end.

Each request checks the answer's status and its body against the document's schema. Locally it makes an account of its
own and reads the code from the local mailbox; on AWS it signs in with the account that the environment names.
"""

import json
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
_SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_POLLS = 120
_COGNITO = "application/x-amz-json-1.1"
_UNKNOWN = "00000000-0000-4000-8000-000000000000"


def collection(document: Mapping[str, Any]) -> Json:
    """What to import into Postman, or to run with newman."""
    good = json.dumps(document["paths"]["/orders"]["post"]["requestBody"]["content"]["application/json"]["examples"])
    order = json.loads(good)["approved"]["value"]
    api = _Requests(document)
    return {
        "info": {"name": document["info"]["title"], "schema": _SCHEMA, "description": __doc__},
        "auth": _bearer("{{idToken}}"),
        "variable": [{"key": "schemas", "value": json.dumps(document["components"]["schemas"])}],
        "item": [
            {"name": "Account", "item": [_sign_up(), _read_code(), _confirm(), _sign_in()]},
            {
                "name": "An order, from the click to its end",
                "item": [
                    api.request("products", 200),
                    api.request("placeOrder", 201, body=order, key="{{key}}", before=_NEW_KEY, after=_KEEP_ORDER),
                    api.request("placeOrder", 200, body=order, key="{{key}}", name="Order again with the same key"),
                    api.request("getOrder", 200, name="Look until it has ended", after=_UNTIL_ENDED),
                    api.request("listOrders", 200, after=_HAS_ORDER),
                    api.request("listEvents", 200, after=_HAS_EVENTS),
                ],
            },
            {
                "name": "What is refused",
                "item": [
                    api.request("placeOrder", 422, body={**order, "items": []}, name="An order of nothing"),
                    api.request("placeOrder", 415, body=order, name="An order that is not JSON", content="text/plain"),
                    api.request("placeOrder", 400, body=order, name="A key that is none", key="k" * 256),
                    api.request("getOrder", 404, name="Nobody's order", order_id=_UNKNOWN),
                    api.request("listOrders", 403, name="The access token", token="{{accessToken}}"),
                    api.request("listOrders", 401, name="No token", token=""),
                ],
            },
        ],
    }


def environments() -> dict[str, Json]:
    """One for the local stack, with the values of `.local/stack.json`, and one for AWS, with those of `sls info`."""
    local = {
        "apiUrl": "apiUrl of .local/stack.json",
        "cognitoUrl": "http://127.0.0.1:4566",
        "userPoolClientId": "UserPoolClientId of .local/stack.json",
        "mailboxUrl": "http://127.0.0.1:4566/_ministack/ses/messages",
        "email": "",
        "password": "Secret-password-1",
    }
    aws = {
        "apiUrl": "output HttpApiUrl",
        "cognitoUrl": "https://cognito-idp.us-east-1.amazonaws.com",
        "userPoolClientId": "output UserPoolClientId",
        "mailboxUrl": "",
        "email": "the e-mail address of an account that is confirmed",
        "password": "",
    }
    return {
        name: {
            "name": f"Order processing, {name}",
            "values": [
                {"key": key, "value": value, "enabled": True, "type": "secret" if key == "password" else "default"}
                for key, value in values.items()
            ],
        }
        for name, values in {"local": local, "aws": aws}.items()
    }


class _Requests:
    """Makes requests of the document's operations, by their ids."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    def request(
        self,
        operation_id: str,
        status: int,
        *,
        name: str = "",
        body: Any = None,
        key: str = "",
        order_id: str = "{{orderId}}",
        token: str | None = None,
        content: str = "application/json",
        before: str = "",
        after: str = "",
    ) -> Json:
        method, path, operation = self._operations[operation_id]
        headers = [{"key": "Content-Type", "value": content}] if body is not None else []
        headers += [{"key": "Idempotency-Key", "value": key}] if key else []
        request: Json = {"method": method, "header": headers, "url": "{{apiUrl}}" + path.replace("{orderId}", order_id)}
        if body is not None:
            request["body"] = {"mode": "raw", "raw": json.dumps(body, indent=2)}
        if token is not None:
            request["auth"] = _bearer(token) if token else {"type": "noauth"}
        [answer] = operation["responses"][str(status)]["content"].values()
        script = _check(status, answer["schema"], list(operation["responses"][str(status)].get("headers", {})))
        return _item(name or operation["summary"], request, script + after, before)


# --- what runs before and after a request -----------------------------------------------------------------------------


def _check(status: int, schema: Json, headers: list[str]) -> str:
    lines = [
        f"pm.test('{status}', () => pm.response.to.have.status({status}));",
        "const schemas = JSON.parse(pm.collectionVariables.get('schemas'));",
        f"const schema = {{ allOf: [{json.dumps(schema)}], components: {{ schemas }} }};",
        "pm.test('as the document says', () => pm.response.to.have.jsonSchema(schema));",
        *(f"pm.test('{name}', () => pm.response.to.have.header('{name}'));" for name in headers),
    ]
    return "\n".join(lines) + "\n"


_NEW_KEY = "pm.collectionVariables.set('key', pm.variables.replaceIn('{{$guid}}'));"
_KEEP_ORDER = """pm.collectionVariables.set('orderId', pm.response.json().orderId);
pm.collectionVariables.set('looks', 0);
"""
_UNTIL_ENDED = f"""const order = pm.response.json();
const looks = Number(pm.collectionVariables.get('looks')) + 1;
pm.collectionVariables.set('looks', looks);
const ended = order.status === 'FULFILLED' && order.notification;
if (!ended && looks < {_POLLS}) {{
  setTimeout(() => {{}}, 250);
  pm.execution.setNextRequest(pm.info.requestName);
}} else {{
  pm.test('it is FULFILLED, and its customer was told', () => pm.expect(Boolean(ended)).to.be.true);
}}
"""
_HAS_ORDER = """const ids = pm.response.json().orders.map((order) => order.orderId);
pm.test('the order is on the list', () => pm.expect(ids).to.include(pm.collectionVariables.get('orderId')));
"""
_HAS_EVENTS = """const types = pm.response.json().events.map((event) => event.eventType);
pm.test('its events tell its story', () => pm.expect(types).to.include.members(
  ['OrderPlacedEvent', 'PaymentCompletedEvent', 'FulfillmentCompletedEvent']));
"""


def _sign_up() -> Json:
    before = """if (!pm.environment.get('mailboxUrl')) {
  pm.execution.skipRequest();
}
pm.environment.set('email', `postman-${Date.now()}@example.com`);
"""
    body = {
        "ClientId": "{{userPoolClientId}}",
        "Username": "{{email}}",
        "Password": "{{password}}",
        "UserAttributes": [{"Name": "email", "Value": "{{email}}"}],
    }
    return _cognito("Sign up (local)", "SignUp", body, before=before)


def _read_code() -> Json:
    before = """if (!pm.environment.get('mailboxUrl')) {
  pm.execution.skipRequest();
}
"""
    after = """const letters = Object.values(pm.response.json().messages).flat();
const letter = letters.find((each) => each.To.includes(pm.environment.get('email')));
pm.test('the code has come', () => pm.expect(letter).to.be.an('object'));
pm.collectionVariables.set('code', letter.BodyText.match(/\\d{6}/)[0]);
"""
    request = {"method": "GET", "header": [], "url": "{{mailboxUrl}}", "auth": {"type": "noauth"}}
    return _item("Read the code (local)", request, after, before)


def _confirm() -> Json:
    before = """if (!pm.environment.get('mailboxUrl')) {
  pm.execution.skipRequest();
}
"""
    body = {"ClientId": "{{userPoolClientId}}", "Username": "{{email}}", "ConfirmationCode": "{{code}}"}
    return _cognito("Confirm (local)", "ConfirmSignUp", body, before=before)


def _sign_in() -> Json:
    body = {
        "ClientId": "{{userPoolClientId}}",
        "AuthFlow": "USER_PASSWORD_AUTH",
        "AuthParameters": {"USERNAME": "{{email}}", "PASSWORD": "{{password}}"},
    }
    after = """const tokens = pm.response.json().AuthenticationResult;
pm.collectionVariables.set('idToken', tokens.IdToken);
pm.collectionVariables.set('accessToken', tokens.AccessToken);
"""
    return _cognito("Sign in", "InitiateAuth", body, after=after)


def _cognito(name: str, operation: str, body: Json, *, before: str = "", after: str = "") -> Json:
    request = {
        "method": "POST",
        "header": [
            {"key": "Content-Type", "value": _COGNITO},
            {"key": "X-Amz-Target", "value": f"AWSCognitoIdentityProviderService.{operation}"},
        ],
        "url": "{{cognitoUrl}}/",
        "auth": {"type": "noauth"},
        "body": {"mode": "raw", "raw": json.dumps(body, indent=2)},
    }
    return _item(name, request, "pm.test('200', () => pm.response.to.have.status(200));\n" + after, before)


def _item(name: str, request: Json, after: str, before: str = "") -> Json:
    scripts = {"prerequest": before, "test": after}
    events = [
        {"listen": when, "script": {"type": "text/javascript", "exec": script.rstrip("\n").split("\n")}}
        for when, script in scripts.items()
        if script
    ]
    return {"name": name, "event": events, "request": request}


def _bearer(token: str) -> Json:
    return {"type": "bearer", "bearer": [{"key": "token", "value": token, "type": "string"}]}
