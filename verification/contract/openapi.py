"""The OpenAPI document: the schemas are those of the request's and the responses' models, the routes the API's own."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core.core_schema import WithDefaultSchema

from handlers import order_feed, order_service, responses
from handlers.http import LARGEST_BODY
from handlers.paging import DEFAULT_PAGE, LARGEST_PAGE
from handlers.responses import PROBLEMS, TITLES
from orders.catalogue import PRODUCTS
from orders.model import OrderRequest

Json = dict[str, Any]


class GatewayMessage(BaseModel):
    """A response from API Gateway itself."""

    model_config = ConfigDict(extra="forbid")

    message: str


class Success(NamedTuple):
    """A response that reports no problem."""

    description: str
    model: type[BaseModel]
    headers: tuple[str, ...] = ()


class Operation(NamedTuple):
    """One route. `problems` are names of PROBLEMS, in addition to `internal`, which every route may send."""

    id: str
    summary: str
    responses: Mapping[int, Success]
    problems: tuple[str, ...] = ()
    parameters: tuple[Json, ...] = ()
    body: Json | None = None


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _order_to_try(payment_method: str) -> Json:
    return {"value": {"items": [{"sku": "MUG", "quantity": 2}], "paymentMethod": payment_method}}


ORDER_ID: Json = {"name": "orderId", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Identifies the order: a repeated request with the same key and body places no second order.",
    "schema": {"type": "string", "pattern": "^[ -~]+$", "minLength": 1, "maxLength": 255},
}
LIMIT: Json = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": DEFAULT_PAGE},
}
NEXT_TOKEN: Json = {
    "name": "nextToken",
    "in": "query",
    "description": "The `nextToken` of the previous page.",
    "schema": {"type": "string"},
}
HEADERS: Mapping[str, Json] = {
    "Location": {"type": "string", "pattern": "^/orders/[0-9a-f-]{36}$"},
    "Idempotency-Replayed": {"const": "true"},
}
ORDER_BODY: Json = {
    "required": True,
    "description": f"At most {LARGEST_BODY:,} bytes.",
    "content": {
        "application/json": {
            "schema": _reference(OrderRequest),
            "examples": {"approved": _order_to_try("tok_visa"), "declined": _order_to_try("tok_declined")},
        }
    },
}

OPERATIONS: Mapping[str, Operation] = {
    "GET /products": Operation(
        "products",
        "List the shop's products",
        {200: Success("The shop's products", responses.ProductsResponse)},
    ),
    "POST /orders": Operation(
        "placeOrder",
        "Place an order",
        {
            200: Success(
                "The order that was placed with this Idempotency-Key",
                responses.OrderResponse,
                ("Location", "Idempotency-Replayed"),
            ),
            201: Success("The new order", responses.OrderResponse, ("Location",)),
        },
        (
            *("bad-idempotency-key", "not-json", "repeated-key"),
            *("email-not-verified", "not-an-id-token"),
            *("body-too-large", "unsupported-media-type"),
            *("idempotency-key-reused", "undeliverable-email", "validation-failed"),
        ),
        (IDEMPOTENCY_KEY,),
        ORDER_BODY,
    ),
    "GET /orders": Operation(
        "listOrders",
        "List your orders, newest first",
        {200: Success("A page of orders", responses.OrdersResponse)},
        ("not-an-id-token", "validation-failed"),
        (LIMIT, NEXT_TOKEN),
    ),
    "GET /orders/{orderId}": Operation(
        "getOrder",
        "Show an order",
        {200: Success("The order", responses.OrderResponse)},
        ("not-an-id-token", "order-not-found"),
        (ORDER_ID,),
    ),
    "GET /orders/{orderId}/events": Operation(
        "listEvents",
        "List an order's events, oldest first",
        {200: Success("The order's events", responses.EventsResponse)},
        ("not-an-id-token", "order-not-found"),
        (ORDER_ID,),
    ),
    "POST /orders/{orderId}/cancellation": Operation(
        "cancelOrder",
        "Cancel an order that is neither shipped nor declined; any charge is refunded in full",
        {
            200: Success("The order, which an earlier request has cancelled", responses.OrderResponse),
            202: Success("The order with its `cancellation`; its status changes later", responses.OrderResponse),
        },
        ("not-an-id-token", "order-not-found", "too-late"),
        (ORDER_ID,),
    ),
    "POST /orders/{orderId}/ticket": Operation(
        "createTicket",
        "Get a ticket for a WebSocket that sends the order's events as they happen; only with the storefront",
        {
            201: Success(
                "A ticket that opens one WebSocket, once, for the page that requested it", responses.TicketResponse
            )
        },
        ("not-an-id-token", "order-not-found"),
        (ORDER_ID,),
    ),
}
"""Route → its request and its responses."""


def document() -> Json:
    """The whole document, as JSON."""
    paths: Json = {}
    for route in (*order_service.ROUTES, *order_feed.ROUTES):
        method, _, path = route.partition(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(OPERATIONS[route])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Order processing",
            "version": "1",
            "description": (
                "Place an order, follow it, and cancel it. Once the order is placed, events drive everything else:"
                " payment, fulfilment and the notification of the customer."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [
            {
                "url": "http://127.0.0.1:4567/api",
                "description": "The local stack that npm start runs; the storefront's server forwards each request.",
            },
            {
                "url": "{apiUrl}",
                "description": "A stage on AWS. Its URL is the output HttpApiUrl, which npm run info shows.",
                "variables": {"apiUrl": {"default": "https://example.com"}},
            },
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "idToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Cognito's ID token, not the access token.",
                }
            },
            "schemas": _schemas(),
        },
    }


def _operation(operation: Operation) -> Json:
    with_token = "not-an-id-token" in operation.problems
    found = {str(status): _success(success) for status, success in operation.responses.items()}
    names = (*operation.problems, "internal")
    for status in {PROBLEMS[name] for name in names}:
        of_this_status = ", ".join(name for name in names if PROBLEMS[name] == status)
        found[str(status)] = _content(f"{TITLES[status]} ({of_this_status})", responses.ProblemResponse)
    if with_token:
        found["401"] = _content("From API Gateway itself: the ID token is missing or invalid.", GatewayMessage)
    found["429"] = _content("From API Gateway itself: too many requests.", GatewayMessage)
    found["503"] = _content("From API Gateway itself: the function did not respond.", GatewayMessage)
    made: Json = {"operationId": operation.id, "summary": operation.summary, "responses": dict(sorted(found.items()))}
    if with_token:
        made["security"] = [{"idToken": []}]
    if operation.parameters:
        made["parameters"] = list(operation.parameters)
    if operation.body:
        made["requestBody"] = operation.body
    return made


def _success(success: Success) -> Json:
    made = _content(success.description, success.model)
    if success.headers:
        made["headers"] = {name: {"required": True, "schema": HEADERS[name]} for name in success.headers}
    return made


def _content(description: str, model: type[BaseModel]) -> Json:
    media_type = "application/problem+json" if model is responses.ProblemResponse else "application/json"
    return {"description": description, "content": {media_type: {"schema": _reference(model)}}}


class _Schemas(GenerateJsonSchema):
    """pydantic's schemas, without defaults: a response has its fields, or leaves them out."""

    def default_schema(self, schema: WithDefaultSchema) -> Json:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _schemas() -> Json:
    sent = {success.model for operation in OPERATIONS.values() for success in operation.responses.values()}
    sent |= {responses.ProblemResponse, GatewayMessage}
    _, made = models_json_schema(
        [
            (OrderRequest, "validation"),
            *((model, "serialization") for model in sorted(sent, key=lambda it: it.__name__)),
        ],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Schemas,
    )
    schemas: Json = made["$defs"]
    schemas["RequestedLine"]["properties"]["sku"]["enum"] = list(PRODUCTS)
    return dict(sorted(schemas.items()))
