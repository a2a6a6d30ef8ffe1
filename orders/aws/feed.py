"""The order feed's table and its WebSockets: `feed.Feed` on DynamoDB, `feed.Sockets` on API Gateway."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from orders.aws.dynamodb import from_item, to_item
from orders.feed import Connection, StoredTicket

if TYPE_CHECKING:
    from types_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient
    from types_boto3_dynamodb import DynamoDBClient

MOST_CONNECTIONS = 20
"""How many pages get one order's events, the newest first: nobody should make one event into thousands of messages."""


class FeedTable:
    """Tickets by their hash, connections by their id. Only a connection has `orderId`, the index's key."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def add_ticket(self, ticket_hash: str, ticket: StoredTicket) -> None:
        item = {"id": ticket_hash, "opens": ticket.order_id, "expiresAt": ticket.expires_at}
        if ticket.origin is not None:
            item["origin"] = ticket.origin
        self._dynamodb.put_item(TableName=self._table, Item=to_item(item))

    def burn_ticket(self, ticket_hash: str) -> StoredTicket | None:
        try:
            burned = self._dynamodb.delete_item(
                TableName=self._table,
                Key=to_item({"id": ticket_hash}),
                ConditionExpression="attribute_exists(opens)",
                ReturnValues="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        item = from_item(burned["Attributes"])
        return StoredTicket(item["opens"], item.get("origin"), item["expiresAt"])

    def add(self, connection: Connection, *, expires_at: int) -> None:
        item = {
            "id": connection.connection_id,
            "orderId": connection.order_id,
            "connectedAt": connection.connected_at,
            "expiresAt": expires_at,
        }
        self._dynamodb.put_item(TableName=self._table, Item=to_item(item))

    def watching(self, order_id: str) -> list[Connection]:
        found = self._dynamodb.query(
            TableName=self._table,
            IndexName="byOrder",
            KeyConditionExpression="orderId = :order",
            ExpressionAttributeValues=to_item({":order": order_id}),
            ScanIndexForward=False,
            Limit=MOST_CONNECTIONS,
        )
        items = map(from_item, found["Items"])
        return [Connection(item["id"], item["orderId"], item["connectedAt"]) for item in items]

    def forget(self, connection_id: str) -> None:
        self._dynamodb.delete_item(TableName=self._table, Key=to_item({"id": connection_id}))


class ApiGatewaySockets:
    """API Gateway's WebSockets. The SDK finds the API by AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI in serverless.yml."""

    def __init__(self, make_client: Callable[[], "ApiGatewayManagementApiClient"]) -> None:
        """The client is made for the first message: nobody watches most orders."""
        self._make_client = make_client

    def send(self, connection_id: str, message: str) -> bool:
        client = self._client
        try:
            client.post_to_connection(ConnectionId=connection_id, Data=message.encode())
        except client.exceptions.GoneException:
            return False
        return True

    @cached_property
    def _client(self) -> "ApiGatewayManagementApiClient":
        return self._make_client()
