"""AWS::ApiGatewayV2::Deployment for MiniStack's CloudFormation: the framework adds one to a WebSocket API.

MiniStack has the API for deployments. It serves an API's routes as they are now, deployed or not.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

from ministack.services import apigateway
from ministack.services.cloudformation import provisioners

from local.emulator.bridge.patching import replace, require

TYPE = "AWS::ApiGatewayV2::Deployment"

Properties = Mapping[str, Any]


def install() -> None:
    require(apigateway, "_create_deployment", "_delete_deployment")
    replace(provisioners, "_RESOURCE_HANDLERS", with_deployment)


def with_deployment(handlers: dict[str, Any]) -> dict[str, Any]:
    if TYPE in handlers:
        sys.exit(f"this MiniStack has {TYPE} by itself: remove local/emulator/bridge/deployments.py")
    handlers[TYPE] = {"create": create, "delete": delete}
    return handlers


def create(logical_id: str, properties: Properties, _stack_name: str) -> tuple[str, dict[str, str]]:
    """Raises ValueError, which fails the resource and with it the stack."""
    status, _, body = apigateway._create_deployment(properties["ApiId"], {"description": properties["Description"]})
    if status != 201:
        raise ValueError(f"{TYPE} {logical_id}: {body.decode()}")
    deployment_id = json.loads(body)["deploymentId"]
    return deployment_id, {"DeploymentId": deployment_id}


def delete(deployment_id: str, properties: Properties) -> None:
    apigateway._delete_deployment(properties["ApiId"], deployment_id)
