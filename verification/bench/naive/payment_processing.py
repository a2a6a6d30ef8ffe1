"""Charges an order: event parser, idempotency table, logger, tracer and metrics as decorators."""

import json
import os
from typing import Any
from uuid import uuid4

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.parser.models import EventBridgeModel
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel

logger = Logger()
tracer = Tracer()
metrics = Metrics()
idempotency = IdempotencyConfig(event_key_jmespath="orderId")
persistence = DynamoDBPersistenceLayer(table_name="Idempotency")
table = boto3.resource("dynamodb").Table("NaiveOrders")
events = boto3.client("events")


class Placed(BaseModel):
    orderId: str
    customerId: str
    items: list[dict[str, Any]]
    totalAmount: int
    currency: str
    paymentMethod: str


class Detail(BaseModel):
    metadata: dict[str, Any]
    data: Placed


class OrderPlaced(EventBridgeModel):
    detail: Detail


@tracer.capture_method
@idempotent_function(data_keyword_argument="data", config=idempotency, persistence_store=persistence)
def charge(*, data: dict[str, Any]) -> dict[str, Any]:
    order = table.get_item(Key={"orderId": data["orderId"]}, ConsistentRead=True).get("Item", data)
    payment = {"paymentId": str(uuid4()), "status": "COMPLETED"}
    table.update_item(
        Key={"orderId": data["orderId"]},
        UpdateExpression="SET payment = :payment",
        ExpressionAttributeValues={":payment": payment},
    )
    paid = {
        "orderId": data["orderId"],
        "paymentId": payment["paymentId"],
        "totalAmount": int(order["totalAmount"]),
        "currency": order["currency"],
    }
    entry = {
        "EventBusName": os.environ["EVENT_BUS_NAME"],
        "Source": "naive.payment",
        "DetailType": "PaymentCompletedEvent",
        "Detail": json.dumps({"metadata": {"eventId": str(uuid4())}, "data": paid}),
    }
    events.put_events(Entries=[entry])
    metrics.add_metric(name="PaymentsCompleted", unit=MetricUnit.Count, value=1)
    logger.info("Payment completed", extra=paid)
    return paid


@logger.inject_lambda_context(log_event=True)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
@event_parser(model=OrderPlaced)
def handler(event: OrderPlaced, context: LambdaContext) -> dict[str, Any]:
    idempotency.register_lambda_context(context)
    return charge(data=event.detail.data.model_dump())
