"""AWS::Events::Archive for MiniStack's CloudFormation, which has the archive and replay APIs already."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import eventbridge
from ministack.services.cloudformation import provisioners

from local.emulator.bridge.patching import replace, require

TYPE = "AWS::Events::Archive"

Properties = Mapping[str, Any]
Provisioned = tuple[str, dict[str, str]]
"""The values of Ref and of GetAtt."""

Operation = Callable[[dict[str, Any]], tuple[int, Any, bytes]]
"""One of MiniStack's, from parameters to HTTP status, headers and body."""


def install() -> None:
    require(eventbridge, "_archives", "_create_archive", "_update_archive", "_delete_archive")
    replace(provisioners, "_RESOURCE_HANDLERS", with_archive)


def with_archive(handlers: dict[str, Any]) -> dict[str, Any]:
    if TYPE in handlers:
        sys.exit(f"this MiniStack has {TYPE} by itself: remove local/emulator/bridge/archive.py")
    handlers[TYPE] = {"create": create, "update": update, "delete": delete}
    return handlers


def create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties.get("ArchiveName") or f"{stack_name}-{logical_id}"
    return _put(eventbridge._create_archive, name, properties)


def update(name: str, old: Properties, properties: Properties, stack_name: str) -> Provisioned:
    """A new name or another source means a new archive; CloudFormation then deletes the old one."""
    renamed = properties.get("ArchiveName") != old.get("ArchiveName")
    if renamed or properties["SourceArn"] != old["SourceArn"]:
        return create(name, properties, stack_name)
    return _put(eventbridge._update_archive, name, properties)


def delete(name: str, _properties: Properties) -> None:
    eventbridge._delete_archive({"ArchiveName": name})


def _put(operation: Operation, name: str, properties: Properties) -> Provisioned:
    """Raises ValueError, which fails the resource and with it the stack."""
    status, _, body = operation(
        {
            "ArchiveName": name,
            "EventSourceArn": properties["SourceArn"],
            "Description": properties.get("Description", ""),
            "EventPattern": json.dumps(properties["EventPattern"]) if "EventPattern" in properties else "",
            "RetentionDays": int(properties.get("RetentionDays", 0)),
        }
    )
    if status != 200:
        raise ValueError(f"{TYPE} {name}: {body.decode()}")
    return name, {"Arn": eventbridge._archives[name]["ArchiveArn"]}
