"""The Postman collection runs: each of its requests and scripts, in its order, against the handlers.

Node runs the scripts, with as much of Postman's `pm` as they use. The first two folders talk to Cognito and the local
mailbox, not to the API: botocore's model of Cognito judges those requests.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from orders.model import OrderRequest
from tests.shop import ANNA, ApiResponse, Shop
from verification.contract.openapi import document
from verification.contract.postman import collection

Json = dict[str, Any]

PM = """
const { script, status, body, environment, variables } = JSON.parse(require('fs').readFileSync(0));
const be = { oneOf: (expected) => require('assert').ok(expected.includes(status), `${status} of ${expected}`) };
const scope = (values) => ({ get: (name) => values[name], set: (name, value) => { values[name] = value; } });
const pm = {
  environment: scope(environment),
  collectionVariables: scope(variables),
  variables: { replaceIn: (text) => text.replace('{{$guid}}', require('crypto').randomUUID()) },
  execution: { skipRequest: () => { variables.skipped = true; } },
  response: { json: () => body, code: status },
  expect: () => ({ to: { be } }),
  test: (name, check) => check(),
};
new Function('pm', script)(pm);
console.log(JSON.stringify({ environment, variables }));
"""


def folder(name: str) -> list[Json]:
    [items] = [folder["item"] for folder in collection(document())["item"] if folder["name"] == name]
    return list(items)


class Postman:
    """What Postman remembers between two requests."""

    def __init__(self, **environment: str) -> None:
        self.environment = environment
        self.variables: dict[str, Any] = {}

    def run(self, scripts: list[Json], listen: str, status: int = 0, body: Any = None) -> None:
        """Run the scripts for `listen`. Raises CalledProcessError where one throws, as a check does that fails."""
        for event in (event for event in scripts if event["listen"] == listen):
            script = "\n".join(event["script"]["exec"])
            given = {"script": script, "status": status, "body": body, **self.__dict__}
            output = subprocess.run(
                ["node", "-e", PM], input=json.dumps(given), stdout=-1, text=True, check=True
            ).stdout
            self.__dict__.update(json.loads(output))

    def filled(self, text: str) -> str:
        """The text with the variables' values. Raises KeyError for one that nothing has set."""
        return re.sub(r"{{(\w+)}}", lambda found: str({**self.environment, **self.variables}[found[1]]), text)


def send(shop: Shop, postman: Postman, request: Json) -> ApiResponse:
    """The API's response. The gateway's own for a request without a token: 401."""
    token = request.get("auth", {"type": "bearer", "bearer": [{"value": "{{idToken}}"}]})
    if token["type"] == "noauth":
        return ApiResponse(401, {}, {"message": "Unauthorized"})
    caller = {"an ID token": ANNA, "an access token": ANNA._replace(token_use="access")}
    return shop.call(
        request["method"],
        postman.filled(request["url"]),
        postman.filled(request["body"]["raw"]) if "body" in request else None,
        by=caller[postman.filled(token["bearer"][0]["value"])],
        headers={header["key"].lower(): postman.filled(header["value"]) for header in request["header"]},
    )


@pytest.mark.parametrize("cancelled_in_time", [False, True])
def test_the_collection_runs_from_the_order_to_the_last_refusal(shop: Shop, cancelled_in_time: bool) -> None:
    # given
    postman = Postman(apiUrl="")
    tokens = {"AuthenticationResult": {"IdToken": "an ID token", "AccessToken": "an access token"}}
    [sign_in] = folder("Sign in")
    postman.run(sign_in["event"], "test", 200, tokens)

    # when, then
    for item in (*folder("An order"), *folder("What is refused")):
        postman.run(item["event"], "prerequest")
        response = send(shop, postman, item["request"])
        if not cancelled_in_time:
            shop.run()
        postman.run(item["event"], "test", response.status, response.body)
    [order] = shop.everything()["Orders"]
    assert ("cancellation" in order) == cancelled_in_time


def test_an_account_is_made_with_the_code_from_the_mailbox_and_only_where_there_is_one() -> None:
    # given
    [account] = [folder for folder in collection(document())["item"] if folder["name"] == "An account (local stack)"]
    sign_up, read_code, confirm = account["item"]
    postman = Postman(mailboxUrl="http://127.0.0.1:4566/_ministack/ses/messages", email="")

    # when
    postman.run(account["event"], "prerequest")
    postman.run(sign_up["event"], "prerequest")
    message = {"To": [postman.environment["email"]], "BodyText": "Your code is 123456."}
    postman.run(read_code["event"], "test", 200, {"messages": {"000000000000": [{**message, "To": ["bela"]}, message]}})

    # then
    assert postman.variables == {"code": "123456"}
    assert json.loads(postman.filled(confirm["request"]["body"]["raw"].replace("{{userPoolClientId}}", "")))

    # and on AWS
    postman = Postman(mailboxUrl="")
    postman.run(account["event"], "prerequest")
    assert postman.variables == {"skipped": True}


def _to_cognito() -> Iterator[Json]:
    for item in (*folder("An account (local stack)"), *folder("Sign in")):
        if item["request"]["url"] == "{{cognitoUrl}}/":
            yield item["request"]


def test_cognito_has_each_operation_and_takes_its_parameters() -> None:
    client = boto3.client("cognito-idp")
    requests = list(_to_cognito())
    assert len(requests) == 3
    for request in requests:
        [target] = [header["value"] for header in request["header"] if header["key"] == "X-Amz-Target"]
        shape = client.meta.service_model.operation_model(target.partition(".")[2]).input_shape
        assert shape
        report = ParamValidator().validate(json.loads(request["body"]["raw"]), shape)
        assert not report.has_errors(), report.generate_report()
    client.close()


@pytest.mark.parametrize("name", ["approved", "declined"])
def test_each_example_of_an_order_is_one_that_the_api_takes(name: str) -> None:
    content = document()["paths"]["/orders"]["post"]["requestBody"]["content"]["application/json"]
    OrderRequest.model_validate_json(json.dumps(content["examples"][name]["value"]))
