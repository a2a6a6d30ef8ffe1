"""Accepts an order: HTTP resolver with validation, idempotency table, logger, tracer and metrics as decorators."""

import json
import os
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

logger = Logger()
tracer = Tracer()
metrics = Metrics()
app = APIGatewayHttpResolver(enable_validation=True)
idempotency = IdempotencyConfig(event_key_jmespath="key")
persistence = DynamoDBPersistenceLayer(table_name="Idempotency")
table = boto3.resource("dynamodb").Table("NaiveOrders")
events = boto3.client("events")

PRICES = {"MUG": ("Stoneware mug", 1400), "KETTLE": ("Gooseneck kettle", 4950)}


class Line(BaseModel):
    sku: str
    quantity: Annotated[int, Field(ge=1, le=1000)]


class OrderRequest(BaseModel):
    items: Annotated[list[Line], Field(min_length=1, max_length=50)]
    paymentMethod: str


class Order(BaseModel):
    orderId: str
    status: str
    items: list[dict[str, Any]]
    totalAmount: int
    currency: str
    paymentMethod: str
    placedAt: str


@app.post("/orders")
@tracer.capture_method
def create_order(order: OrderRequest) -> Response[Order]:
    claims = app.current_event.request_context.authorizer.jwt_claim
    key = app.current_event.headers.get("idempotency-key", str(uuid4()))
    placed = place(order=order.model_dump(), customer=claims["sub"], email=claims["email"], data={"key": key})
    return Response(status_code=201, content_type=content_types.APPLICATION_JSON, body=Order(**placed))


@tracer.capture_method
@idempotent_function(data_keyword_argument="data", config=idempotency, persistence_store=persistence)
def place(*, order: dict[str, Any], customer: str, email: str, data: dict[str, Any]) -> dict[str, Any]:
    lines = [{**line, "name": PRICES[line["sku"]][0], "unitPrice": PRICES[line["sku"]][1]} for line in order["items"]]
    placed = {
        "orderId": str(uuid4()),
        "status": "PLACED",
        "items": lines,
        "totalAmount": sum(line["quantity"] * line["unitPrice"] for line in lines),
        "currency": "EUR",
        "paymentMethod": order["paymentMethod"],
        "placedAt": datetime.now(UTC).isoformat(),
    }
    table.put_item(Item={**placed, "customerId": customer, "email": email})
    entry = {
        "EventBusName": os.environ["EVENT_BUS_NAME"],
        "Source": "naive.orders",
        "DetailType": "OrderPlacedEvent",
        "Detail": json.dumps({"metadata": {"eventId": str(uuid4())}, "data": {**placed, "customerId": customer}}),
    }
    events.put_events(Entries=[entry])
    metrics.add_metric(name="OrdersPlaced", unit=MetricUnit.Count, value=1)
    logger.info("Order placed", extra={"orderId": placed["orderId"]})
    return placed


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP, log_event=True)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
