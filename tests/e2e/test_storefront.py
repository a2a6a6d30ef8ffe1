"""The storefront's server before the deployed stack: what its page can do, and what its panel breaks and heals."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import httpx
import pytest

from local.emulator.describe import describe
from local.terminal.timeline import is_final
from operations.dead_letters import purge
from operations.stack import described, stack_name
from tests.e2e.cloud import Cloud
from tests.e2e.commands import command, state_of
from tests.e2e.shopper import an_order, envelope_of
from tests.e2e.waiting import wait_for

STACK = stack_name("local")

PASSWORD = "Secret-password-1"


class Browser:
    """What the page in the browser asks its server for, and nothing past it. Signed up and in as a new customer."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.configuration = http.get("/config.json").json()
        self.email = f"visitor-{uuid4().hex[:12]}@example.com"
        self.token = ""

    def cognito(self, operation: str, **parameters: Any) -> httpx.Response:
        return self.http.post(
            self.configuration["cognitoUrl"],
            content=json.dumps({"ClientId": self.configuration["userPoolClientId"], **parameters}),
            headers={
                "content-type": "application/x-amz-json-1.1",
                "x-amz-target": f"AWSCognitoIdentityProviderService.{operation}",
            },
        )

    def signs_up(self) -> "Browser":
        attributes = [{"Name": "email", "Value": self.email}]
        asked = self.cognito("SignUp", Username=self.email, Password=PASSWORD, UserAttributes=attributes)
        assert asked.status_code == 200, asked.text
        [letter] = wait_for("code by e-mail", self.inbox)
        [code] = re.findall(r"\d{6}", letter["text"])
        confirmed = self.cognito("ConfirmSignUp", Username=self.email, ConfirmationCode=code)
        assert confirmed.status_code == 200, confirmed.text
        credentials = {"USERNAME": self.email, "PASSWORD": PASSWORD}
        answer = self.cognito("InitiateAuth", AuthFlow="USER_PASSWORD_AUTH", AuthParameters=credentials)
        self.token = answer.json()["AuthenticationResult"]["IdToken"]
        return self

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self.http.request(method, self.configuration["apiUrl"] + path, headers=headers, **options)

    def orders(self, **changes: Any) -> str:
        """The id of a new order."""
        answer = self.api("POST", "/orders", json=an_order(**changes))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["orderId"])

    def order(self, order_id: str) -> Any:
        return self.api("GET", f"/orders/{order_id}").raise_for_status().json()

    def events(self, order_id: str) -> list[dict[str, Any]]:
        return list(self.api("GET", f"/orders/{order_id}/events").raise_for_status().json()["events"])

    def ended(self, order_id: str) -> Any:
        """The order, once its status is final and its customer was notified."""
        return wait_for(
            f"end of order {order_id}",
            lambda: self.order(order_id),
            lambda order: is_final(order) and "notification" in order,
        )

    def inbox(self) -> list[dict[str, Any]]:
        """The e-mails to this customer."""
        answer = self.http.get("/break-it/inbox", params={"email": self.email})
        return list(answer.raise_for_status().json()["messages"])


class Letter(NamedTuple):
    event_type: str
    consumer: str
    reason: str


class Operator(Protocol):
    """Somebody who breaks and heals the stack."""

    def switches_the_gateway(self, to: str) -> None: ...

    def gateway(self) -> str: ...

    def dead_letters(self, order_id: str) -> list[Letter]: ...

    def redrives(self) -> int: ...

    def sends_twice(self, order_id: str) -> None: ...


class Panel:
    """Through the page's panel."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def _post(self, operation: str, body: dict[str, str]) -> Any:
        return self._http.post(f"/break-it/{operation}", json=body).raise_for_status().json()

    def _state(self) -> Any:
        return self._http.get("/break-it/state").raise_for_status().json()

    def switches_the_gateway(self, to: str) -> None:
        assert self._post("gateway", {"state": to}) == {"gateway": to}

    def gateway(self) -> str:
        return str(self._state()["gateway"])

    def dead_letters(self, order_id: str) -> list[Letter]:
        letters = self._state()["deadLetters"]
        mine = [letter for letter in letters if letter["orderId"] == order_id]
        return [Letter(letter["eventType"], letter["consumer"], letter["reason"]) for letter in mine]

    def redrives(self) -> int:
        return int(self._post("redrive", {})["redriven"])

    def sends_twice(self, order_id: str) -> None:
        assert self._post("send-twice", {"orderId": order_id})["eventType"] == "OrderPlacedEvent"


class CommandLine:
    """Through `npm run break-it` and `npm run dlq`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def _run(self, *arguments: str) -> str:
        ran = command(self._cloud, *arguments)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def switches_the_gateway(self, to: str) -> None:
        assert self._run("operations.break_it", "gateway", to) == f"the payment gateway is {to}\n"

    def gateway(self) -> str:
        return self._run("operations.break_it", "gateway").split()[-1]

    def dead_letters(self, order_id: str) -> list[Letter]:
        row = re.compile(rf"(\w+) ─▶ (\w+) +{order_id} +\w+, \w+ +(.+?) *")
        rows = map(row.fullmatch, self._run("operations.dlq", "list").splitlines())
        return [Letter(found[1], f"{STACK}-{found[2]}", found[3]) for found in rows if found]

    def redrives(self) -> int:
        return int(re.findall(r"^(\d+) delivered again$", self._run("operations.dlq", "redrive"), re.MULTILINE)[0])

    def sends_twice(self, order_id: str) -> None:
        said = self._run("operations.break_it", "send-twice", order_id)
        assert said.startswith(f"OrderPlacedEvent of order {order_id} is on the bus again, as ")


@pytest.fixture(scope="module")
def http(cloud: Cloud) -> Iterator[httpx.Client]:
    """The page's own requests, as a browser makes them."""
    url = cloud.stack["webUrl"]
    own = {"origin": url.rstrip("/"), "sec-fetch-site": "same-origin"}
    with httpx.Client(base_url=url, headers=own, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def page(http: httpx.Client) -> Browser:
    return Browser(http).signs_up()


@pytest.fixture(params=["panel", "command line"])
def operator(request: pytest.FixtureRequest, cloud: Cloud, http: httpx.Client) -> Iterator[Operator]:
    """Each way to break and heal the stack; no dead letters of other tests, and the gateway up again in the end."""
    purge(described(cloud.stack))
    yield Panel(http) if request.param == "panel" else CommandLine(cloud)
    Panel(http).switches_the_gateway("up")


# --- a customer -------------------------------------------------------------------------------------------------------


def test_a_customer_goes_from_sign_up_to_the_e_mail_through_this_one_origin(page: Browser) -> None:
    products = page.api("GET", "/products").json()["products"]
    order_id = page.orders(items=[{"sku": products[0]["sku"], "quantity": 1}])

    order = page.ended(order_id)

    assert (order["status"], order["totalAmount"]) == ("FULFILLED", products[0]["unitPrice"])
    assert order_id in [each["orderId"] for each in page.api("GET", "/orders").json()["orders"]]
    [newest, *_] = page.inbox()
    assert order_id in newest["text"]
    assert [datetime.fromisoformat(letter["at"]) for letter in page.inbox()] == sorted(
        (datetime.fromisoformat(letter["at"]) for letter in page.inbox()), reverse=True
    )


def test_a_wrong_code_and_a_wrong_password_get_cognito_s_own_error(http: httpx.Client, page: Browser) -> None:
    newcomer = Browser(http)
    attributes = [{"Name": "email", "Value": newcomer.email}]
    newcomer.cognito("SignUp", Username=newcomer.email, Password=PASSWORD, UserAttributes=attributes)
    credentials = {"USERNAME": page.email, "PASSWORD": f"{PASSWORD}0"}

    wrong_code = newcomer.cognito("ConfirmSignUp", Username=newcomer.email, ConfirmationCode="000000x")
    wrong_password = page.cognito("InitiateAuth", AuthFlow="USER_PASSWORD_AUTH", AuthParameters=credentials)

    for answer, kind in ((wrong_code, "CodeMismatchException"), (wrong_password, "NotAuthorizedException")):
        assert (answer.status_code, answer.json()["__type"].rpartition("#")[2]) == (400, kind)


def test_an_order_that_is_sent_twice_with_its_key_is_one_order(page: Browser) -> None:
    key = {"idempotency-key": uuid4().hex}
    first, second = (page.api("POST", "/orders", json=an_order(), headers=key) for _ in range(2))

    order_id = first.json()["orderId"]
    assert (first.status_code, first.headers["location"]) == (201, f"/orders/{order_id}")
    assert (second.status_code, second.headers["idempotency-replayed"]) == (200, "true")
    assert second.json()["orderId"] == order_id


def test_what_the_api_and_its_gateway_refuse_comes_back_as_they_said_it(page: Browser, http: httpx.Client) -> None:
    nobody = http.get("/api/orders")
    unknown = page.api("GET", f"/orders/{uuid4()}")
    wrong = page.api("POST", "/orders", json=an_order(paymentMethod="cash"))

    assert (nobody.status_code, nobody.json()) == (401, {"message": "Unauthorized"})
    for answer, status in ((unknown, 404), (wrong, 422)):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["status"] == status


def test_the_way_to_cognito_can_not_be_used_for_anything_of_an_administrators(page: Browser, cloud: Cloud) -> None:
    answer = page.cognito("AdminDeleteUser", UserPoolId=cloud.stack["UserPoolId"], Username=page.email)

    assert answer.status_code == 403
    user = cloud.client("cognito-idp").admin_get_user(UserPoolId=cloud.stack["UserPoolId"], Username=page.email)
    assert user["Username"]


# --- the panel --------------------------------------------------------------------------------------------------------


def test_an_order_waits_for_a_gateway_that_is_down_and_is_healed_by_a_redrive(
    page: Browser, operator: Operator
) -> None:
    operator.switches_the_gateway("down")
    assert operator.gateway() == "down"
    order_id = page.orders()
    [letter] = wait_for("dead letter", lambda: operator.dead_letters(order_id))
    waiting = page.order(order_id)

    operator.switches_the_gateway("up")
    assert operator.gateway() == "up"
    redriven = operator.redrives()

    assert letter[:2] == ("OrderPlacedEvent", f"{STACK}-paymentProcessing")
    assert letter.reason.startswith("the payment gateway does not respond")
    assert (waiting["status"], "payment" in waiting) == ("PLACED", False)
    assert redriven >= 1  # the reconciler may have tried meanwhile
    assert page.ended(order_id)["status"] == "FULFILLED"
    assert operator.dead_letters(order_id) == []


def test_the_page_gets_to_know_the_failed_attempts_the_dead_letter_and_its_redrive(
    page: Browser, operator: Operator, http: httpx.Client
) -> None:
    def rescue() -> Any:
        return http.get("/break-it/rescue", params={"orderId": order_id}).raise_for_status().json()

    operator.switches_the_gateway("down")
    order_id = page.orders()
    kept = wait_for("dead letter", rescue, lambda seen: seen["deadLetters"])
    operator.switches_the_gateway("up")
    operator.redrives()
    page.ended(order_id)
    closed = wait_for("no dead letter", rescue, lambda seen: all(each["goneAt"] for each in seen["deadLetters"]))

    placed = page.events(order_id)[0]
    of_the_event = {"function": "paymentProcessing", "eventId": placed["eventId"], "eventType": "OrderPlacedEvent"}
    why = "GatewayUnavailable: the payment gateway does not respond"
    tried = [each for each in kept["attempts"] if each["eventId"] == placed["eventId"]]
    assert [each["attempt"] for each in tried] == [1, 2, 3]
    for each in tried:
        assert {**of_the_event, "of": 3}.items() <= each.items()
        assert each["reason"].startswith(why)
    assert [each["at"] for each in tried] == sorted(each["at"] for each in tried)
    assert {"goneAt": None, "redriven": False}.items() <= kept["deadLetters"][0].items()
    assert kept["dueAt"] > placed["timestamp"]
    assert kept["logged"][placed["eventId"]] >= placed["timestamp"]

    [letter] = [each for each in closed["deadLetters"] if each["eventId"] == placed["eventId"]]
    assert of_the_event.items() <= letter.items()
    assert letter["reason"].startswith(why)
    assert tried[-1]["at"] <= letter["seenAt"] < letter["goneAt"]
    # The command line's redrive leaves evidence only if the reconciler has not published the event again meanwhile.
    is_told = isinstance(operator, Panel) or not [event for event in page.events(order_id) if event["attempt"] > 1]
    assert letter["redriven"] is (True if is_told else None)
    assert closed["dueAt"] is None


def test_a_redrive_beside_a_look_from_another_window_finds_every_dead_letter(
    cloud: Cloud, http: httpx.Client, page: Browser
) -> None:
    """A look hides the dead letters for a moment, as SQS does with whatever is received."""
    order_id = page.orders()
    page.ended(order_id)
    told = json.dumps(
        envelope_of(wait_for("whole trail", lambda: page.events(order_id), lambda all: len(all) == 3)[-1])
    )
    purge(described(cloud.stack))
    queue, sqs = cloud.stack["NotificationDeadLetterQueueUrl"], cloud.client("sqs")
    for _ in range(3):
        sqs.send_message(QueueUrl=queue, MessageBody=told)

    def hidden() -> int:
        [count] = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])[
            "Attributes"
        ].values()
        return int(count)

    with ThreadPoolExecutor() as windows:
        look = windows.submit(http.get, "/break-it/state")
        wait_for("hidden dead letters", hidden, lambda count: count == 3)
        redrive = windows.submit(http.post, "/break-it/redrive", json={})

        assert len(look.result().json()["deadLetters"]) == 3
        assert redrive.result().json() == {"redriven": 3}


def test_an_event_that_is_sent_twice_is_recorded_twice_and_changes_nothing(
    page: Browser, operator: Operator, cloud: Cloud
) -> None:
    order_id = page.orders()
    order = page.ended(order_id)
    wait_for("whole trail", lambda: page.events(order_id), lambda trail: len(trail) == 3)
    tried = cloud.invocations("paymentProcessing")

    operator.sends_twice(order_id)

    trail = wait_for("second entry", lambda: page.events(order_id), lambda trail: len(trail) == 4)
    twice = [entry for entry in trail if entry["eventType"] == "OrderPlacedEvent"]
    assert len({entry["eventId"] for entry in twice}) == 2
    assert len({json.dumps({**entry, "eventId": None}, sort_keys=True) for entry in twice}) == 1
    wait_for("second try at the payment", lambda: cloud.invocations("paymentProcessing") > tried)
    assert page.order(order_id) == order
    assert len(page.events(order_id)) == 4
    assert len([letter for letter in page.inbox() if order_id in letter["text"]]) == 1


def test_an_order_that_nobody_knows_can_not_be_sent_twice(page: Browser, http: httpx.Client, cloud: Cloud) -> None:
    order_id = str(uuid4())

    answer = http.post("/break-it/send-twice", json={"orderId": order_id})
    ran = command(cloud, "operations.break_it", "send-twice", order_id)

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"].startswith(f"the audit log has no order {order_id}; its number ")
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", f"{answer.json()['detail']}\n")


# --- where it is ------------------------------------------------------------------------------------------------------


def test_a_deploy_leaves_the_storefront_where_it_is(cloud: Cloud, http: httpx.Client) -> None:
    """The plugin runs this after each deploy: it writes stack.json again."""
    state = state_of(cloud)
    describe(state)

    assert json.loads(state.stack.read_text())["webUrl"] == cloud.stack["webUrl"]
    assert http.get("/config.json").status_code == 200
