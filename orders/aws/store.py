"""The Orders table: `ports.OrderStore` on DynamoDB.

The SDK repeats a write whose response was lost, although the write took effect. Each write allows for that: the first
result wins, or the repetition recognizes its own write (`put`, `claim`, `reconcile`).
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from datetime import timedelta
from heapq import merge
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from pydantic import ValidationError

from orders import clock
from orders.aws import backoff
from orders.aws.dynamodb import from_item, names_in, to_item
from orders.errors import MalformedOrder, OrderNotFound, ReadIncomplete
from orders.events import Event, PaymentCompletedEvent, new_id
from orders.model import (
    TRANSITIONS,
    Cancellation,
    Channel,
    Fulfillment,
    Order,
    Payment,
    Receipt,
    Refund,
    VoidedPayment,
)
from orders.ports import Due, OrdersOfCustomer, Overdue, Position, WriteResult

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from types_boto3_dynamodb import DynamoDBClient

YOUNG_SHARDS = 20
"""Open orders spread over this many keys of `openOrders`, since one key takes 1,000 writes a second."""
LATE_SHARDS = {"open": YOUNG_SHARDS, "unsettled": YOUNG_SHARDS + 1}
"""The keys to which `reconcile` moves an order that is late: counting a key counts those."""
DUE_PAGE = 500
"""How many due orders are read from one key at a time; a page of 500 takes 8 read units."""

_RECEIPT = {"email": "notification", "sms": "sms"}
_CLAIM = {"email": "emailClaim", "sms": "smsClaim"}


class OrdersTable:
    """The table, with its indexes `byCustomer` and `openOrders`. Its methods are described in `ports.OrderStore`."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    # --- OrderService ---------------------------------------------------------------------------------------------

    def put(self, order: Order) -> WriteResult:
        """The stored order is this request's own when it has the request's id, which is the order's correlation id."""
        shard = UUID(order.order_id).int % YOUNG_SHARDS
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=to_item({**order.model_dump(by_alias=True, exclude_defaults=True), "openShard": shard}),
                ConditionExpression="attribute_not_exists(orderId)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refusal:
            stored = _order(_stored(refusal))
            return WriteResult(stored, applied=stored.correlation_id == order.correlation_id)
        return WriteResult(order, applied=True)

    def get(self, order_id: str) -> Order:
        response = self._dynamodb.get_item(
            TableName=self._table, Key=to_item({"orderId": order_id}), ConsistentRead=True
        )
        if "Item" not in response:
            raise OrderNotFound(order_id)
        return _order(from_item(response["Item"]))

    def of_customer(self, customer_id: str, *, limit: int, start: Position | None = None) -> OrdersOfCustomer:
        """A page of the index, and the orders that it lists: one that can't be read must not hide the others."""
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
        response = self._dynamodb.query(**query)
        read = self.get_all([from_item(key)["orderId"] for key in response["Items"]])
        last = from_item(response["LastEvaluatedKey"]) if "LastEvaluatedKey" in response else None
        return OrdersOfCustomer(
            orders=[each for each in read if isinstance(each, Order)],
            unreadable=[each for each in read if not isinstance(each, Order)],
            position=Position(last["placedAt"], last["orderId"]) if last else None,
        )

    def get_all(self, order_ids: Sequence[str]) -> list[Order | MalformedOrder | OrderNotFound]:
        items = self._items(order_ids)
        orders: list[Order | MalformedOrder | OrderNotFound] = []
        for order_id in order_ids:
            try:
                if order_id not in items:
                    raise OrderNotFound(order_id)  # its id came from an index, which lags behind the table
                orders.append(_order(from_item(items[order_id])))
            except (MalformedOrder, OrderNotFound) as error:
                orders.append(error)
        return orders

    def _items(self, order_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The items of at most 100 orders. Raises ReadIncomplete.

        A call may leave some out, mostly because the table is throttled: those are read again, after a pause.
        """
        found: dict[str, Mapping[str, Any]] = {}
        keys = [to_item({"orderId": order_id}) for order_id in dict.fromkeys(order_ids)]
        if not keys:
            return found
        wanted: Any = {self._table: {"Keys": keys, "ConsistentRead": True}}
        for attempt in range(1, backoff.ATTEMPTS + 1):
            response = self._dynamodb.batch_get_item(RequestItems=wanted)
            for item in response["Responses"].get(self._table, []):
                found[item["orderId"]["S"]] = item
            wanted = response["UnprocessedKeys"]
            if not wanted:
                return found
            backoff.pause(attempt)
        raise ReadIncomplete(f"DynamoDB left out {len(wanted[self._table]['Keys'])} of {len(keys)} orders")

    def cancel(self, order_id: str, customer_id: str, cancellation: Cancellation, *, due_at: str) -> WriteResult:
        """A stored cancellation is this request's own when it has the request's id."""
        order, _ = self._update(
            order_id,
            "SET #cancellation = :cancellation, #dueAt = :dueAt",
            "attribute_not_exists(#cancellation) AND attribute_not_exists(#fulfillment)"
            " AND (attribute_not_exists(#payment) OR #payment.#status <> :failed) AND #placedAt < :at",
            preconditions={"customerId": customer_id},
            values={
                ":cancellation": cancellation.model_dump(by_alias=True),
                ":dueAt": due_at,
                ":failed": "FAILED",
                ":at": cancellation.occurred_at,
            },
        )
        stored = order.cancellation
        return WriteResult(order, applied=stored is not None and stored.request_id == cancellation.request_id)

    # --- PaymentProcessing ----------------------------------------------------------------------------------------

    def record_payment(self, order: Order, payment: Payment) -> Order:
        return self._update(
            order.order_id,
            "SET #payment = if_not_exists(#payment, :payment)",
            "attribute_not_exists(#cancellation)" if payment.status == "FAILED" else "",
            values={":payment": payment.model_dump(by_alias=True, exclude_none=True)},
        ).order

    def record_void(self, order: Order, voided: VoidedPayment) -> WriteResult:
        return self._update(
            order.order_id,
            "SET #payment = if_not_exists(#payment, :voided)",
            "(attribute_not_exists(#payment) OR #payment.#status = :status)",
            values={":voided": voided.model_dump(by_alias=True), ":status": voided.status},
        )

    def record_refund(self, order: Order, payment: Payment, refund: Refund) -> WriteResult:
        return self._update(
            order.order_id,
            "SET #payment = if_not_exists(#payment, :payment), #refund = if_not_exists(#refund, :refund)",
            "(attribute_not_exists(#payment) OR #payment.#eventId = :eventId)",
            values={
                ":payment": payment.model_dump(by_alias=True, exclude_none=True),
                ":refund": refund.model_dump(by_alias=True),
                ":eventId": payment.event_id,
            },
        )

    # --- Fulfillment ----------------------------------------------------------------------------------------------

    def record_fulfillment(self, paid: PaymentCompletedEvent, fulfillment: Fulfillment) -> WriteResult:
        return self._update(
            paid.order_id,
            "SET #fulfillment = if_not_exists(#fulfillment, :fulfillment)",
            "attribute_not_exists(#cancellation)",
            preconditions=paid.preconditions(),
            values={":fulfillment": fulfillment.model_dump(by_alias=True, exclude_none=True)},
        )

    # --- OrderStatusUpdater ---------------------------------------------------------------------------------------

    def advance(self, event: Event) -> WriteResult:
        to, origins = TRANSITIONS[type(event)]
        froms = {f":from{n}": origin for n, origin in enumerate(sorted(origins))}
        change = {"status": to, "at": clock.timestamp(clock.now()), "eventId": event.metadata.event_id}
        return self._update(
            event.order_id,
            "SET #status = :to, #statusHistory = list_append(if_not_exists(#statusHistory, :none), :change)",
            f"#status IN ({', '.join(froms)})",
            preconditions=event.preconditions(),
            values={":to": to, ":change": [change], ":none": [], **froms},
        )

    # --- Notification ---------------------------------------------------------------------------------------------

    def claim(self, event: Event, channel: Channel, *, owner: str, stale_after: timedelta) -> WriteResult:
        """The same owner may claim again: the SDK repeats a claim whose response was lost."""
        now = clock.now()
        receipt, claim = f"#{_RECEIPT[channel]}", f"#{_CLAIM[channel]}"
        return self._update(
            event.order_id,
            f"SET {claim} = :claim",
            f"attribute_not_exists({receipt}) AND"
            f" (attribute_not_exists({claim}) OR {claim}.#at < :stale OR {claim}.#owner = :owner)",
            preconditions=event.preconditions(),
            values={
                ":claim": {"owner": owner, "at": clock.timestamp(now)},
                ":stale": clock.timestamp(now - stale_after),
                ":owner": owner,
            },
        )

    def record_receipt(self, order: Order, receipt: Receipt) -> Order:
        """One write stores the receipt, releases the claim and, with the e-mail of a final order, closes the order."""
        path, claim = f"#{_RECEIPT[receipt.channel]}", f"#{_CLAIM[receipt.channel]}"
        closing = ", #openShard, #dueAt" if order.is_final and receipt.channel == "email" else ""
        return self._update(
            order.order_id,
            f"SET {path} = if_not_exists({path}, :receipt) REMOVE {claim}{closing}",
            values={":receipt": receipt.model_dump(by_alias=True, exclude_none=True)},
        ).order

    def close(self, order: Order) -> None:
        """Without the two keys of `openOrders`, the order is no longer in that index."""
        self._update(order.order_id, "REMOVE #openShard, #dueAt")

    # --- Reconciler -----------------------------------------------------------------------------------------------

    def due(self, pool: Executor) -> Iterator[Due]:
        """Read the first page of every key at once, and the next page of a key when the one before is used up."""
        now = clock.timestamp(clock.now())
        queries = [
            {
                "TableName": self._table,
                "IndexName": "openOrders",
                "KeyConditionExpression": "openShard = :shard AND dueAt <= :now",
                "ExpressionAttributeValues": to_item({":shard": shard, ":now": now}),
                "Limit": DUE_PAGE,
            }
            for shard in (*range(YOUNG_SHARDS), *LATE_SHARDS.values())
        ]
        pages = pool.map(lambda query: self._dynamodb.query(**query), queries)
        return merge(*map(self._due_from, queries, pages))

    def _due_from(self, query: Mapping[str, Any], page: Mapping[str, Any]) -> Iterator[Due]:
        while True:
            for key in map(from_item, page["Items"]):
                yield Due(key["dueAt"], key["orderId"])
            if "LastEvaluatedKey" not in page:
                return
            page = self._dynamodb.query(**query, ExclusiveStartKey=page["LastEvaluatedKey"])

    def reconcile(self, due: Due, *, next_due: str, late: Literal["open", "unsettled"] | None) -> WriteResult:
        """Compare and set `dueAt`; the index may lag. A `reconciliationId` identifies this run's own write.

        The due time would not: two runs that read an order 35 minutes old both set it to the full hour.
        """
        own_id = new_id()
        move = ", #openShard = :shard" if late else ""
        return self._update(
            due.order_id,
            "SET #dueAt = :next, #reconciliationId = :id, #attempt = if_not_exists(#attempt, :one) + :one" + move,
            "#dueAt = :due",
            values={
                ":next": next_due,
                ":id": own_id,
                ":due": due.due_at,
                ":one": 1,
                **({":shard": LATE_SHARDS[late]} if late else {}),
            },
            own=("reconciliationId", own_id),
        )

    def reschedule(self, due: Due, until: str) -> None:
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
            return  # the order has changed meanwhile

    def overdue(self) -> Overdue:
        unsettled = self._count(LATE_SHARDS["unsettled"])
        return Overdue(open=self._count(LATE_SHARDS["open"]) + unsettled, unsettled=unsettled)

    def _count(self, shard: int) -> int:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="openOrders",
            KeyConditionExpression="openShard = :shard",
            ExpressionAttributeValues=to_item({":shard": shard}),
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
        preconditions: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        own: tuple[str, str] | None = None,
    ) -> WriteResult:
        """Change an existing order if the condition and the event's preconditions hold; else return it as it is.

        `own` is an attribute with a value that only this write sets: an order that has it shows that the write took
        effect, and that this was the SDK's repetition.
        """
        expected = dict(preconditions or {})
        paths = ["#" + path.replace(".", ".#") for path in expected]
        conditions = ["attribute_exists(#orderId)"]
        conditions += [condition] if condition else []
        conditions += [f"{path} = :fact{n}" for n, path in enumerate(paths)]
        expression = " AND ".join(conditions)
        bound = {**(values or {}), **{f":fact{n}": value for n, value in enumerate(expected.values())}}
        with_values: Any = {"ExpressionAttributeValues": to_item(bound)} if bound else {}
        try:
            response = self._dynamodb.update_item(
                TableName=self._table,
                Key=to_item({"orderId": order_id}),
                UpdateExpression=update,
                ConditionExpression=expression,
                ExpressionAttributeNames=names_in(update, expression),
                **with_values,
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refusal:
            stored = _stored(refusal)
            if not stored:
                raise OrderNotFound(order_id) from refusal
            return WriteResult(_order(stored), applied=own is not None and stored.get(own[0]) == own[1])
        except self._dynamodb.exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "ValidationException":  # such as text where a list is needed
                raise MalformedOrder(f"order {order_id}: {error}") from error
            raise
        return WriteResult(_order(from_item(response["Attributes"])), applied=True)


def _stored(refusal: "ClientError") -> dict[str, Any]:
    """The item whose condition failed, as plain values; empty when there is none. The stubs don't know this key."""
    response: Mapping[str, Any] = refusal.response
    return from_item(response.get("Item", {}))


def _order(values: Mapping[str, Any]) -> Order:
    try:
        return Order.model_validate(values, by_alias=True, by_name=False)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise MalformedOrder(f"order {values['orderId']}: {reasons}") from error
