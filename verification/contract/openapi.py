"""The OpenAPI document, made from what the code takes and gives: its routes, its models, its problems."""

from collections.abc import Mapping
from typing import Any

from pydantic.alias_generators import to_camel

from handlers.http import LARGEST_BODY, TITLES
from handlers.order_service import EVENT_FIELDS, ROUTES
from handlers.paging import DEFAULT_PAGE, LARGEST_PAGE
from orders.catalogue import PRODUCTS, Product
from orders.model import PUBLIC, Order, OrderRequest

Json = dict[str, Any]
_SCHEMAS = "#/components/schemas/"
Problems = Mapping[int, tuple[str, ...]]
_INTERNAL: Problems = {500: ("internal",)}
_READING: Problems = {403: ("not-an-id-token",), **_INTERNAL}
OURS: Mapping[str, Problems] = {
    "GET /products": _INTERNAL,
    "POST /orders": {
        400: ("bad-idempotency-key", "not-json", "repeated-key"),
        403: ("email-not-verified", "not-an-id-token"),
        413: ("body-too-large",),
        415: ("unsupported-media-type",),
        422: ("idempotency-key-reused", "undeliverable-email", "validation-failed"),
        **_INTERNAL,
    },
    "GET /orders": {422: ("validation-failed",), **_READING},
    "GET /orders/{orderId}": {404: ("order-not-found",), **_READING},
    "GET /orders/{orderId}/events": {404: ("order-not-found",), **_READING},
}
"""The problems that the function answers, by route and status: what their types end in."""
_GATEWAY: Mapping[int, str] = {
    401: "The gateway's own: no ID token, or not a good one.",
    429: "The gateway's own: too many requests.",
    503: "The gateway's own: the function did not answer.",
}
_SAY = {
    "GET /products": ("List what the shop sells", "products"),
    "POST /orders": ("Place an order", "placeOrder"),
    "GET /orders": ("List one's own orders, newest first", "listOrders"),
    "GET /orders/{orderId}": ("Show an order", "getOrder"),
    "GET /orders/{orderId}/events": ("Tell an order's story by its events, oldest first", "listEvents"),
}


def document() -> Json:
    """The whole document, as JSON."""
    paths: Json = {}
    for route in ROUTES:
        method, _, path = route.partition(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Order processing",
            "version": "1",
            "description": (
                "Place an order and follow it. Everything after the order is placed happens by events:"
                " payment, fulfilment and the message to the customer."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "{apiUrl}", "variables": {"apiUrl": {"default": "https://example.com"}}}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "idToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The ID token that Cognito gives, not the access token.",
                }
            },
            "schemas": _schemas(),
        },
    }


# --- operations -------------------------------------------------------------------------------------------------------


def _operation(route: str) -> Json:
    method, _, path = route.partition(" ")
    summary, name = _SAY[route]
    operation: Json = {"summary": summary, "operationId": name, "responses": _responses(route)}
    if path != "/products":
        operation["security"] = [{"idToken": []}]
    parameters = _parameters(method, path)
    if parameters:
        operation["parameters"] = parameters
    if method == "POST":
        content = {"application/json": {"schema": {"$ref": f"{_SCHEMAS}OrderRequest"}, "examples": _orders_to_try()}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(method: str, path: str) -> list[Json]:
    if "{orderId}" in path:
        return [{"name": "orderId", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}]
    if method == "POST":
        key = {"type": "string", "pattern": "^[ -~]+$", "minLength": 1, "maxLength": 255}
        note = "The same key and the same body: the same order, once."
        return [{"name": "Idempotency-Key", "in": "header", "required": False, "description": note, "schema": key}]
    if path == "/orders":
        limit = {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": DEFAULT_PAGE}
        token = {"type": "string", "description": "As the page before gave it."}
        return [
            {"name": "limit", "in": "query", "required": False, "schema": limit},
            {"name": "nextToken", "in": "query", "required": False, "schema": token},
        ]
    return []


def _responses(route: str) -> Json:
    good: Json = {
        "GET /products": {"200": _answer("What the shop sells", "Products")},
        "POST /orders": {
            "201": _answer("The new order", "Order", "Location"),
            "200": _answer(
                "The order that the Idempotency-Key stands for", "Order", "Location", "Idempotency-Replayed"
            ),
        },
        "GET /orders": {"200": _answer("A page of orders", "Orders")},
        "GET /orders/{orderId}": {"200": _answer("The order", "Order")},
        "GET /orders/{orderId}/events": {"200": _answer("The order's events", "Events")},
    }[route]
    problems = {str(status): _problem(status, names) for status, names in OURS[route].items()}
    refusals = {
        str(status): {"description": text, "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}Message"}}}}
        for status, text in _GATEWAY.items()
        if status != 401 or route != "GET /products"
    }
    return dict(sorted({**good, **problems, **refusals}.items()))


def _answer(description: str, schema: str, *headers: str) -> Json:
    answer: Json = {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}{schema}"}}},
    }
    if headers:
        answer["headers"] = {name: {"required": True, "schema": _HEADERS[name]} for name in headers}
    return answer


_HEADERS: Mapping[str, Json] = {
    "Location": {"type": "string", "pattern": "^/orders/[0-9a-f-]{36}$"},
    "Idempotency-Replayed": {"const": "true"},
}


def _problem(status: int, names: tuple[str, ...]) -> Json:
    schema = "Invalid" if status == 422 else "Problem"
    descriptions = {413: f"{TITLES[413]}: over {LARGEST_BODY:,} bytes", 404: f"{TITLES[404]}: no such order of yours"}
    return {
        "description": f"{descriptions.get(status, TITLES[status])} ({', '.join(names)})",
        "content": {"application/problem+json": {"schema": {"$ref": f"{_SCHEMAS}{schema}"}}},
    }


def _orders_to_try() -> Json:
    def order(method: str) -> Json:
        return {"value": {"items": [{"sku": "MUG", "quantity": 2}], "paymentMethod": method}}

    return {"approved": order("tok_visa"), "declined": order("tok_declined")}


# --- schemas ----------------------------------------------------------------------------------------------------------


def _schemas() -> Json:
    schemas: Json = {}
    for model, mode in ((OrderRequest, "validation"), (Product, "serialization"), (Order, "serialization")):
        schema = model.model_json_schema(by_alias=True, mode=mode, ref_template=_SCHEMAS + "{model}")  # type: ignore[arg-type] # one of two literals
        for name, part in {**schema.pop("$defs", {}), model.__name__: schema}.items():
            schemas[name] = _strict(part)
    schemas["RequestedLine"]["properties"]["sku"]["enum"] = list(PRODUCTS)
    schemas["Order"] = _public(schemas["Order"])
    for name in ("payment", "fulfillment", "notification"):
        part = _SHOWN[name]
        schemas[part] = _only(schemas[part], PUBLIC[name])
    schemas |= {
        "Products": _object(products=_list("Product")),
        "Orders": _object(orders=_list("Order"), nextToken={"type": ["string", "null"]}),
        "Events": _object(events=_list("Event")),
        "Event": _object(**{name: _EVENT.get(name, {"type": ["string", "null"]}) for name in (*EVENT_FIELDS, "data")}),
        "Problem": _object(**_PROBLEM),
        "Invalid": {**_object(**_PROBLEM, errors=_list("Error")), "required": list(_PROBLEM)},
        "Error": _object(loc={"type": "array", "items": {"type": ["string", "integer"]}}, msg={"type": "string"}),
        "Message": _object(message={"type": "string"}),
    }
    used = _used(schemas)
    return {name: schemas[name] for name in sorted(schemas) if name in used}


_SHOWN = {"payment": "Payment", "fulfillment": "Fulfillment", "notification": "Receipt"}
_EVENT: Mapping[str, Json] = {
    "eventId": {"type": "string"},
    "timestamp": {"type": "string"},
    "attempt": {"type": ["integer", "null"]},
    "data": {},
}
_NAMES = sorted({name for problems in OURS.values() for names in problems.values() for name in names})
_PROBLEM: Mapping[str, Json] = {
    "type": {"enum": [f"urn:order-processing:problem:{name}" for name in _NAMES]},
    "title": {"enum": list(TITLES.values())},
    "status": {"enum": list(TITLES)},
    "detail": {"type": "string"},
}


def _object(**properties: Json) -> Json:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": dict(properties),
    }


def _list(schema: str) -> Json:
    return {"type": "array", "items": {"$ref": f"{_SCHEMAS}{schema}"}}


def _strict(schema: Json) -> Json:
    """A model's schema without what is said elsewhere: nothing is null, what is unknown is absent; no other fields."""
    schema.pop("title", None)
    schema["additionalProperties"] = False
    for name, part in schema["properties"].items():
        part.pop("title", None)
        part.pop("default", None)
        choices = [choice for choice in part.pop("anyOf", []) if choice.get("type") != "null"]
        schema["properties"][name] = {**part, **(choices[0] if choices else {})}
    return schema


def _public(order: Json) -> Json:
    """What the API shows of an order."""
    return _only(order, PUBLIC, always={"statusHistory"})


def _only(schema: Json, fields: Any, always: frozenset[str] | set[str] = frozenset()) -> Json:
    shown = {to_camel(name) for name in fields}
    properties = {name: part for name, part in schema["properties"].items() if name in shown}
    required = [name for name in schema["properties"] if name in shown & {*schema.get("required", []), *always}]
    return {**schema, "properties": properties, "required": required}


def _used(schemas: Json) -> set[str]:
    """Names of the schemas that an answer or a request leads to."""
    found: set[str] = set()
    waiting = ["OrderRequest", "Products", "Order", "Orders", "Events", "Problem", "Invalid", "Message"]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [other for other in schemas if f'"{_SCHEMAS}{other}"' in str(schemas[name]).replace("'", '"')]
    return found
