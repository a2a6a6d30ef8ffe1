"""The payment provider, simulated: `ports.PaymentGateway` with test tokens and a ledger, like a real provider's.

This is the one simulated part of the system. The ledger is the provider's own memory, so it is a table of its own. It
never forgets an idempotency key: nothing is charged or refunded twice, however late or often a call arrives. How a real
provider differs: docs/payment-provider.md.

Each call is at most three conditional writes and no read: another call could come between a read and a write.
"""

import os
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from orders.aws.dynamodb import from_item, names_in, to_item
from orders.errors import GatewayContradictsOrder, GatewayUnavailable
from orders.events import new_id
from orders.money import format_money
from orders.ports import Charged, Declined, Refunded, Voided

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

DECLINES = {
    "tok_visa": None,
    "tok_mastercard": None,
    "tok_declined": "card_declined",
    "tok_insufficient_funds": "insufficient_funds",
}
"""Test token → why it is declined; None for one that is approved. Any other token is declined as `unknown_token`."""


class SimulatedGateway:
    """Its ledger has one item for each idempotency key.

    `state` is CHARGED, DECLINED, VOIDED or REFUNDED. `requests` counts the calls with a response, `charges` and
    `refunds` how often money moved. `reference` is the merchant's name for the purchase: money that moved under two
    keys of one reference moved twice.
    """

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def charge(
        self, token: str, amount: int, currency: str, *, idempotency_key: str, reference: str
    ) -> Charged | Declined | Voided:
        """Raises GatewayContradictsOrder for a key that belongs to another charge."""
        _fail_if_down()
        declined = DECLINES.get(token, "unknown_token")
        asked = {"reference": reference, "token": token, "amount": amount, "currency": currency}
        first = {
            **asked,
            "state": "DECLINED" if declined else "CHARGED",
            "paymentId": new_id(),
            "charges": 0 if declined else 1,
            "refunds": 0,
            **({"reason": declined} if declined else {}),
        }
        before, applied = self._update(
            idempotency_key,
            _keep(first),
            "attribute_not_exists(#idempotencyKey) OR #state = :voided"
            " OR (#token = :token AND #amount = :amount AND #currency = :currency)",
            {f":{name}": value for name, value in first.items()} | {":voided": "VOIDED"},
            returns="ALL_OLD",
        )
        if not applied:
            raise GatewayContradictsOrder(
                f"the idempotency key {idempotency_key} belongs to a charge of"
                f" {format_money(before['amount'], before['currency'])}, not of {format_money(amount, currency)},"
                " or to another card"
            )
        return _outcome(before or first)

    def cancel(self, *, idempotency_key: str, reference: str) -> Voided | Refunded:
        refund = {":refundId": new_id(), ":refunded": "REFUNDED", ":charged": "CHARGED", ":once": 1}
        void = {":reference": reference, ":charges": 0, ":refunds": 0, ":voided": "VOIDED", ":declined": "DECLINED"}
        _fail_if_down()
        for _ in range(2):  # a charge may come between the two writes; then the first one finds it
            row, charged = self._update(
                idempotency_key,
                "#state = :refunded, #refunds = :once, #refundId = if_not_exists(#refundId, :refundId)",
                "#state IN (:charged, :refunded)",
                refund,
            )
            if charged:
                return Refunded(row["paymentId"], row["refundId"])
            row, voided = self._update(
                idempotency_key,
                f"#state = :voided, {_keep(['reference', 'charges', 'refunds'])}",
                "attribute_not_exists(#idempotencyKey) OR #state IN (:declined, :voided)",
                void,
            )
            if voided:
                return Voided()
        raise GatewayUnavailable(f"the payment gateway can't tell whether {reference} was charged: {row['state']}")

    def _update(
        self, idempotency_key: str, change: str, condition: str, values: dict[str, Any], *, returns: Any = "ALL_NEW"
    ) -> tuple[dict[str, Any], bool]:
        """The item after the write, or before it, and whether its condition held. Raises GatewayUnavailable."""
        update = f"SET {change}, #requests = if_not_exists(#requests, :none) + :one"
        try:
            response = self._dynamodb.update_item(
                TableName=self._table,
                Key=to_item({"idempotencyKey": idempotency_key}),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames=names_in(update, condition),
                ExpressionAttributeValues=to_item({**values, ":none": 0, ":one": 1}),
                ReturnValues=returns,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refusal:
            refused: Any = refusal.response  # the stubs don't know its key Item
            return from_item(refused.get("Item", {})), False
        except (BotoCoreError, ClientError) as error:
            raise GatewayUnavailable(f"the payment gateway does not respond: {error}") from error
        return from_item(response.get("Attributes", {})), True


def _fail_if_down() -> None:
    if os.environ.get("PAYMENT_GATEWAY") == "down":
        raise GatewayUnavailable("the payment gateway does not respond; no money moved")


def _keep(names: Any) -> str:
    """The part of an update that sets each attribute unless it has a value."""
    return ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in names)


def _outcome(row: dict[str, Any]) -> Charged | Declined | Voided:
    if row["state"] == "VOIDED":
        return Voided()
    if row["state"] == "DECLINED":
        return Declined(row["paymentId"], row["reason"])
    return Charged(row["paymentId"])
