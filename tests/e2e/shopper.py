"""A customer: signs up, confirms with the code from the mailbox, signs in, orders over HTTP."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx

from local.terminal.timeline import is_final, is_over
from operations.envelope import envelope
from tests.e2e.cloud import Cloud
from tests.e2e.waiting import wait_for


def an_order(**changes: Any) -> dict[str, Any]:
    """A body of `POST /orders`: two mugs at 14.00 EUR each."""
    return {"items": [{"sku": "MUG", "quantity": 2}], "paymentMethod": "tok_visa", **changes}


def envelope_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The event of an entry of the trail, as it was on the bus."""
    metadata = {
        "eventId": entry["domainEventId"],
        "version": "1",
        "occurredAt": entry["timestamp"],
        **{name: entry[name] for name in ("correlationId", "causationId", "attempt")},
    }
    detail = {"metadata": metadata, "data": entry["data"]}
    seen = {"event_id": entry["eventId"], "timestamp": entry["timestamp"]}
    return envelope(entry["eventType"], entry["source"], detail, **seen)


class Shopper:
    """`tokens` is what Cognito gave: `IdToken`, `AccessToken`."""

    def __init__(self, cloud: Cloud, *, verified: bool = True, domain: str = "example.com") -> None:
        self.email = f"customer-{uuid4().hex[:12]}@{domain}"
        self._cloud = cloud
        self.tokens = self._sign_in(verified=verified)
        self.http = cloud.api(self.tokens["IdToken"])

    def _sign_in(self, *, verified: bool) -> Mapping[str, str]:
        cognito, stack = self._cloud.client("cognito-idp"), self._cloud.stack
        account = {"ClientId": stack["UserPoolClientId"], "Username": self.email}
        attributes = [{"Name": "email", "Value": self.email}]
        cognito.sign_up(**account, Password="Secret-password-1", UserAttributes=attributes)
        [letter] = wait_for("code by e-mail", lambda: self._cloud.mail_to(self.email))
        [code] = re.findall(r"\d{6}", letter["BodyText"])
        cognito.confirm_sign_up(**account, ConfirmationCode=code)
        if not verified:
            cognito.admin_update_user_attributes(
                UserPoolId=stack["UserPoolId"],
                Username=self.email,
                UserAttributes=[{"Name": "email_verified", "Value": "false"}],
            )
        credentials = {"USERNAME": self.email, "PASSWORD": "Secret-password-1"}
        answer = cognito.initiate_auth(
            ClientId=stack["UserPoolClientId"], AuthFlow="USER_PASSWORD_AUTH", AuthParameters=credentials
        )
        return dict(answer["AuthenticationResult"])

    def place(self, *, key: str | None = None, **changes: Any) -> httpx.Response:
        return self.http.post("/orders", json=an_order(**changes), headers={"idempotency-key": key} if key else {})

    def cancel(self, order_id: str) -> httpx.Response:
        return self.http.post(f"/orders/{order_id}/cancellation")

    def order(self, order_id: str) -> Any:
        answer = self.http.get(f"/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def trail(self, order_id: str) -> list[dict[str, Any]]:
        answer = self.http.get(f"/orders/{order_id}/events")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["events"])

    def ended(self, order_id: str, *, seconds: float = 60) -> Any:
        """The order, once its status is final and its customer was notified. The audit log may lag behind."""
        return wait_for(
            f"end of order {order_id}",
            lambda: self.order(order_id),
            lambda order: is_final(order) and "notification" in order,
            seconds=seconds,
        )

    def whole_trail(self, order_id: str) -> list[dict[str, Any]]:
        """The trail of an order that has ended, once the audit log has all that led there."""
        order = self.order(order_id)
        return wait_for("whole trail", lambda: self.trail(order_id), lambda trail: is_over(order, trail))

    def ended_order(self, **changes: Any) -> Any:
        """Place an order and see it to its end."""
        placed = self.place(**changes)
        assert placed.status_code == 201, placed.text
        return self.ended(placed.json()["orderId"])

    def cancelled_order(self, *, is_charged: bool, **changes: Any) -> Any:
        """Place an order, cancel it before or after the charge, and see it to its end."""
        with self._cloud.without_events_for("fulfillment" if is_charged else "paymentProcessing"):
            order_id = self.place(**changes).json()["orderId"]
            if is_charged:
                wait_for("charge", lambda: self.order(order_id), lambda order: order["status"] == "PAID")
            answer = self.cancel(order_id)
            assert answer.status_code == 202, answer.text
        if not is_charged:  # the function got neither event: deliver the second one late, and never the first
            trail = wait_for("cancellation", lambda: self.trail(order_id), lambda trail: len(trail) == 2)
            late = envelope_of(trail[1])
            self._cloud.put(late["detail-type"], late["source"], late["detail"])
        return self.ended(order_id)

    def inbox_of(self, order_id: str) -> list[Mapping[str, Any]]:
        """The e-mails about an order."""
        return [letter for letter in self._cloud.mail_to(self.email) if order_id in letter["BodyText"]]
