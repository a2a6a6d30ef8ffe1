"""The AsyncAPI document of the events, generated from their models and from the rules and rights of serverless.yml.

The senders of an event are the functions that may publish it, the receivers those to which a rule leads: only the
descriptions are written by hand. The schemas are also in a file for each event and version, below docs/events/.
"""

import inspect
import json
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from orders.events import EVENTS, VERSIONS, Event
from tools import flow, topology

Json = dict[str, Any]

_SCHEMAS = "#/components/schemas/"
_DESCRIPTION = (
    "The events in an order's life. They are delivered at least once, in any order. `metadata.eventId` stays the same"
    " when an event is published again. Events contain no e-mail address, phone number or postal address. A consumer"
    " ignores fields that it does not know. docs/events.md says how to consume them from another stack or account."
)


class _WithoutAliases(yaml.SafeDumper):
    """Writes a repeated value in full each time: no `&id001` in a document that people read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Schemas(GenerateJsonSchema):
    """pydantic's schemas, without a title for each field: `Orderid` says less than `orderId`."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def document() -> str:
    """The document, in YAML."""
    return "# Written by npm run contract.\n" + yaml.dump(
        _document(), Dumper=_WithoutAliases, sort_keys=False, width=120, allow_unicode=True
    )


def schemas() -> dict[str, str]:
    """Path below docs/events/ → the JSON Schema of an event's `detail`, of every version that was ever published."""
    return {
        f"v{version}/{detail_type}.json": json.dumps(_standalone(event), indent=2, ensure_ascii=False) + "\n"
        for version, events in VERSIONS.items()
        for detail_type, event in events.items()
    }


def _document() -> Json:
    messages = {name: {"$ref": f"#/components/messages/{name}"} for name in EVENTS}
    topic = {name: ref for name, ref in messages.items() if _is_notified_of(name)}
    return {
        "asyncapi": "3.1.0",
        "id": f"urn:{topology.name()}:events",
        "info": {
            "title": "Order processing: events",
            "version": "1.0.0",
            "description": _DESCRIPTION,
            "license": {"name": "MIT"},
            "tags": [{"name": "orders"}],
        },
        "defaultContentType": "application/json",
        "channels": {
            "bus": {
                "address": f"{topology.name()}-{{stage}}",
                "title": "The event bus",
                "description": "A custom bus of Amazon EventBridge. Its name is the stack's output EventBusName.",
                "parameters": {"stage": {"description": "The stage, such as dev or prod.", "default": "dev"}},
                "messages": messages,
            },
            "notifications": {
                "address": None,  # CloudFormation makes it
                "title": "The notification topic",
                "description": (
                    "A topic of Amazon SNS. Its ARN is the stack's output OrderNotificationTopicArn. A rule of the bus"
                    " publishes to it, and a queue delivers its messages to Notification."
                ),
                "messages": topic,
                "bindings": {"sns": {"name": "OrderNotificationTopic", "bindingVersion": "0.1.0"}},
            },
        },
        "operations": dict(_operations()),
        "components": {"messages": {name: _message(event) for name, event in EVENTS.items()}, "schemas": _components()},
    }


def _operations() -> Iterator[tuple[str, Json]]:
    """What each function sends and receives, in the order of serverless.yml."""
    for function in topology.functions():
        if sent := flow.publishes(function):
            yield f"{function}Publishes", _operation("send", "bus", function, sent)
        if received := [event for event, consumers in flow.consumers().items() if function in consumers]:
            behind_queue = topology.trigger(function) == "queue"
            operation = _operation("receive", "notifications" if behind_queue else "bus", function, received)
            if behind_queue:
                operation["bindings"] = {"sns": {"consumers": list(_queues(function)), "bindingVersion": "0.1.0"}}
            patterns = [pattern for _, pattern, reached in topology.rules() if reached == function]
            yield f"{function}Consumes", {**operation, "x-event-patterns": patterns}


def _operation(action: str, channel: str, function: str, events: list[str]) -> Json:
    verb = "publishes" if action == "send" else "consumes"
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "title": f"{topology.title(function)} {verb}",
        "summary": f"The events that the function {function} {verb}.",
        "messages": [{"$ref": f"#/channels/{channel}/messages/{event}"} for event in events],
    }


def _queues(function: str) -> Iterator[Json]:
    """The queues that feed a function, each as its topic's subscription describes it."""
    feeds = [event["sqs"]["arn"] for event in topology.service()["functions"][function]["events"] if "sqs" in event]
    for subscription in topology.of_type("AWS::SNS::Subscription").values():
        if subscription["Endpoint"] in feeds:
            yield {
                "protocol": subscription["Protocol"],
                "endpoint": {"name": _logical_id(subscription["Endpoint"])},
                "rawMessageDelivery": subscription.get("RawMessageDelivery", False),
                "redrivePolicy": {
                    "deadLetterQueue": {"name": _logical_id(subscription["RedrivePolicy"]["deadLetterTargetArn"])}
                },
            }


def _logical_id(arn: Json) -> str:
    """`NotificationQueue` of `!GetAtt NotificationQueue.Arn`."""
    return str(arn["Fn::GetAtt"]).removesuffix(".Arn")


def _message(event: type[Event]) -> Json:
    name = event.detail_type()
    return {
        "name": name,
        "title": name,
        "summary": inspect.getdoc(event),
        "contentType": "application/json",
        "correlationId": {
            "description": "The id of the API request that placed the order.",
            "location": "$message.payload#/detail/metadata/correlationId",
        },
        "payload": {
            "type": "object",
            "description": "EventBridge's envelope.",
            "required": ["version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"],
            "properties": {
                "version": {"const": "0"},
                "id": {"type": "string", "description": "EventBridge's id of this publication."},
                "detail-type": {"const": name},
                "source": {"const": event.source},
                "account": {"type": "string"},
                "time": {"type": "string", "format": "date-time"},
                "region": {"type": "string"},
                "resources": {"type": "array", "items": {"type": "string"}},
                "replay-name": {"type": "string", "description": "Present only when an archive is replayed."},
                "detail": {"$ref": f"{_SCHEMAS}{name}"},
            },
        },
    }


def _components() -> Json:
    models: Any = [(event, "validation") for event in EVENTS.values()]
    _, definitions = models_json_schema(models, ref_template=f"{_SCHEMAS}{{model}}", schema_generator=_Schemas)
    return dict(definitions["$defs"])


def _standalone(event: type[Event]) -> Json:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **event.model_json_schema(schema_generator=_Schemas),
    }


def _is_notified_of(detail_type: str) -> bool:
    """Whether a rule leads the event to the topic, and so to the function behind its queue."""
    return any(topology.trigger(function) == "queue" for function in flow.consumers()[detail_type])
