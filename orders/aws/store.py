"""The Orders table: every write is conditional, so that a repeated, late or forged event can do no harm."""

from collections.abc import Mapping
from datetime import timedelta
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import ValidationError

from orders import clock
from orders.aws import backoff
from orders.aws.dynamodb import from_item, names_in, to_item
from orders.errors import MalformedOrder, OrderNotFound, ReadIncomplete
from orders.events import Event
from orders.model import TRANSITIONS, Channel, Fulfillment, Order, Payment, Receipt

YOUNG_SHARDS = 20
"""Open orders spread over this many keys of `openOrders`, since one key takes 1,000 writes a second."""
OVER_AN_HOUR = YOUNG_SHARDS
"""The shard to which the reconciler moves an order that has been open for over an hour: counting it counts those."""

_RECEIPT = {"email": "notification", "sms": "sms"}
_CLAIM = {"email": "emailClaim", "sms": "smsClaim"}


class Due(NamedTuple):
    """What `openOrders` knows of an order; it may lag behind the order."""

    due_at: str
    order_id: str


class Position(NamedTuple):
    """A place in a customer's list of orders: behind this order."""

    placed_at: str
    order_id: str


class OrdersOfCustomer(NamedTuple):
    """One page of a customer's orders, newest first, and where the next page starts, if there is one."""

    orders: list[Order]
    unreadable: list[MalformedOrder | OrderNotFound]
    """What is wrong with the orders of this page that are not among them."""
    position: Position | None


class Written(NamedTuple):
    """The order as it now stands, and whether the write's condition held."""

    order: Order
    applied: bool


class OrderStore:
    """Raises OrderNotFound where there is no such order, MalformedOrder where it can't be read."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    # --- OrderService ---------------------------------------------------------------------------------------------

    def put(self, order: Order, *, due_in: timedelta) -> Written:
        """Write a new order, or return the one that has its id already."""
        order = order.model_copy(
            update={
                "open_shard": UUID(order.order_id).int % YOUNG_SHARDS,
                "due_at": clock.timestamp(clock.moment(order.placed_at) + due_in),
            }
        )
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=to_item(order.model_dump(by_alias=True, exclude_none=True)),
                ConditionExpression="attribute_not_exists(orderId)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refusal:
            return Written(_order(refusal.response["Item"]), applied=False)
        return Written(order, applied=True)

    def get(self, order_id: str) -> Order:
        answer = self._dynamodb.get_item(TableName=self._table, Key=to_item({"orderId": order_id}), ConsistentRead=True)
        if "Item" not in answer:
            raise OrderNotFound(order_id)
        return _order(answer["Item"])

    def of_customer(self, customer_id: str, *, limit: int, start: Position | None = None) -> OrdersOfCustomer:
        """A page of the index, with the orders themselves: one that can't be read must not hide the others."""
        query: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": "byCustomer",
            "KeyConditionExpression": "customerId = :customer",
            "ExpressionAttributeValues": to_item({":customer": customer_id}),
            "ScanIndexForward": False,
            "Limit": limit,
        }
        if start:
            query["ExclusiveStartKey"] = to_item(
                {"customerId": customer_id, "placedAt": start.placed_at, "orderId": start.order_id}
            )
        answer = self._dynamodb.query(**query)
        ids = [from_item(key)["orderId"] for key in answer["Items"]]
        items = self._get_all(ids)
        orders: list[Order] = []
        unreadable: list[MalformedOrder | OrderNotFound] = []
        for order_id in ids:
            try:
                if order_id not in items:
                    raise OrderNotFound(order_id)  # the index lags behind the table
                orders.append(_order(items[order_id]))
            except (MalformedOrder, OrderNotFound) as error:
                unreadable.append(error)
        last = from_item(answer["LastEvaluatedKey"]) if "LastEvaluatedKey" in answer else None
        return OrdersOfCustomer(orders, unreadable, Position(last["placedAt"], last["orderId"]) if last else None)

    def _get_all(self, order_ids: list[str]) -> dict[str, Mapping[str, Any]]:
        """The items of at most 100 orders. Raises ReadIncomplete.

        A call may leave some out, mostly because the table is throttled: those are read again.
        """
        found: dict[str, Mapping[str, Any]] = {}
        if not order_ids:
            return found
        wanted: Any = {
            self._table: {"Keys": [to_item({"orderId": order_id}) for order_id in order_ids], "ConsistentRead": True}
        }
        for attempt in range(1, backoff.ATTEMPTS + 1):
            answer = self._dynamodb.batch_get_item(RequestItems=wanted)
            for item in answer["Responses"].get(self._table, []):
                found[item["orderId"]["S"]] = item
            wanted = answer["UnprocessedKeys"]
            if not wanted:
                return found
            backoff.pause(attempt)
        raise ReadIncomplete(f"DynamoDB left out {len(wanted[self._table]['Keys'])} of {len(order_ids)} orders")

    # --- PaymentProcessing ----------------------------------------------------------------------------------------

    def record_payment(self, order: Order, payment: Payment) -> Order:
        """Store the payment unless one is stored: the first one wins, and the order comes back with that one."""
        return self._update(
            order.order_id,
            "SET #payment = if_not_exists(#payment, :payment)",
            values={":payment": payment.model_dump(by_alias=True, exclude_none=True)},
        ).order

    # --- Fulfillment ----------------------------------------------------------------------------------------------

    def record_fulfillment(self, paid: Event, fulfillment: Fulfillment) -> Written:
        """Store the fulfilment, the first one wins, if the order bears out that it is paid."""
        return self._update(
            paid.order_id,
            "SET #fulfillment = if_not_exists(#fulfillment, :fulfillment)",
            holds=paid.facts(),
            values={":fulfillment": fulfillment.model_dump(by_alias=True, exclude_none=True)},
        )

    # --- OrderStatusUpdater ---------------------------------------------------------------------------------------

    def advance(self, event: Event) -> Written:
        """Move the status as the event says, if the order bears it out and the status may still move so."""
        to, origins = TRANSITIONS[type(event)]
        froms = {f":from{n}": origin for n, origin in enumerate(sorted(origins))}
        change = {"status": to, "at": clock.timestamp(clock.now()), "eventId": event.metadata.event_id}
        return self._update(
            event.order_id,
            "SET #status = :to, #statusHistory = list_append(if_not_exists(#statusHistory, :none), :change)",
            f"#status IN ({', '.join(froms)})",
            holds=event.facts(),
            values={":to": to, ":change": [change], ":none": [], **froms},
        )

    # --- Notification ---------------------------------------------------------------------------------------------

    def claim(self, event: Event, channel: Channel, *, owner: str, stale_after: timedelta) -> Written:
        """Take the right to tell the customer, if the order bears out the event and nobody has told or is telling.

        The same owner may claim again: that is the SDK's own retry of a claim whose answer was lost.
        """
        now = clock.now()
        told, claim = f"#{_RECEIPT[channel]}", f"#{_CLAIM[channel]}"
        return self._update(
            event.order_id,
            f"SET {claim} = :claim",
            f"attribute_not_exists({told}) AND"
            f" (attribute_not_exists({claim}) OR {claim}.#at < :stale OR {claim}.#owner = :owner)",
            holds=event.facts(),
            values={
                ":claim": {"owner": owner, "at": clock.timestamp(now)},
                ":stale": clock.timestamp(now - stale_after),
                ":owner": owner,
            },
        )

    def record_receipt(self, order: Order, receipt: Receipt) -> Order:
        """Store how telling the customer ended, give the claim back and, with the e-mail of a final order, close it."""
        told, claim = f"#{_RECEIPT[receipt.channel]}", f"#{_CLAIM[receipt.channel]}"
        closing = ", #openShard, #dueAt" if order.is_final and receipt.channel == "email" else ""
        return self._update(
            order.order_id,
            f"SET {told} = if_not_exists({told}, :receipt) REMOVE {claim}{closing}",
            values={":receipt": receipt.model_dump(by_alias=True, exclude_none=True)},
        ).order

    def close(self, order: Order) -> None:
        """Take an order that is no longer open out of `openOrders`."""
        self._update(order.order_id, "REMOVE #openShard, #dueAt")

    # --- Reconciler -----------------------------------------------------------------------------------------------

    def due(self, *, limit: int) -> list[Due]:
        """The orders whose time has come, at most `limit`, oldest due first."""
        now = clock.timestamp(clock.now())
        shards = [self._due_in(shard, now, limit) for shard in range(OVER_AN_HOUR + 1)]
        return list(islice(merge(*shards), limit))

    def _due_in(self, shard: int, now: str, limit: int) -> list[Due]:
        answer = self._dynamodb.query(
            TableName=self._table,
            IndexName="openOrders",
            KeyConditionExpression="openShard = :shard AND dueAt <= :now",
            ExpressionAttributeValues=to_item({":shard": shard, ":now": now}),
            Limit=limit,
        )
        return [Due(key["dueAt"], key["orderId"]) for key in map(from_item, answer["Items"])]

    def take_up(self, due: Due, *, reconciliation_id: str, next_due: str, over_an_hour: bool) -> Written:
        """Count one more attempt and set the next, unless another run took the order up, or it closed, meanwhile."""
        move = ", #openShard = :overAnHour" if over_an_hour else ""
        return self._update(
            due.order_id,
            "SET #dueAt = :next, #reconciliationId = :id, #attempt = if_not_exists(#attempt, :one) + :one" + move,
            "#dueAt = :due",
            values={
                ":next": next_due,
                ":id": reconciliation_id,
                ":due": due.due_at,
                ":one": 1,
                **({":overAnHour": OVER_AN_HOUR} if over_an_hour else {}),
            },
        )

    def put_off(self, due: Due, until: str) -> None:
        """Move the due time of an order that can't be read, unless it has moved by itself."""
        condition = "#dueAt = :due"
        update = "SET #dueAt = :until"
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=to_item({"orderId": due.order_id}),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames=names_in(update, condition),
                ExpressionAttributeValues=to_item({":due": due.due_at, ":until": until}),
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return  # somebody else was faster

    def open_over_an_hour(self) -> int:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="openOrders",
            KeyConditionExpression="openShard = :shard",
            ExpressionAttributeValues=to_item({":shard": OVER_AN_HOUR}),
            Select="COUNT",
        )
        return sum(page["Count"] for page in pages)

    # --------------------------------------------------------------------------------------------------------------

    def _update(
        self,
        order_id: str,
        update: str,
        condition: str = "",
        *,
        holds: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> Written:
        """Change an existing order if the condition is met and the facts hold; else return it as it is."""
        facts = dict(holds or {})
        paths = ["#" + path.replace(".", ".#") for path in facts]
        conditions = ["attribute_exists(#orderId)"]
        conditions += [condition] if condition else []
        conditions += [f"{path} = :fact{n}" for n, path in enumerate(paths)]
        expression = " AND ".join(conditions)
        bound = {**(values or {}), **{f":fact{n}": fact for n, fact in enumerate(facts.values())}}
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table,
                Key=to_item({"orderId": order_id}),
                UpdateExpression=update,
                ConditionExpression=expression,
                ExpressionAttributeNames=names_in(update, expression),
                **({"ExpressionAttributeValues": to_item(bound)} if bound else {}),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refusal:
            if "Item" not in refusal.response:
                raise OrderNotFound(order_id) from refusal
            return Written(_order(refusal.response["Item"]), applied=False)
        return Written(_order(answer["Attributes"]), applied=True)


def _order(item: Mapping[str, Any]) -> Order:
    values = from_item(item)
    try:
        return Order.model_validate(values, by_alias=True, by_name=False)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise MalformedOrder(f"order {values['orderId']}: {reasons}") from error
