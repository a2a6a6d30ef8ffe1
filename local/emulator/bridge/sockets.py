"""A WebSocket's routes invoke their function like every other trigger: a few at once, and with its log.

MiniStack passes such an event straight to one process of the function, and the log of that is lost.
"""

from typing import Any

from ministack.core.concurrency import run_reentrant
from ministack.services import apigateway, lambda_svc

from local.emulator.bridge.patching import replace, require


def install() -> None:
    require(apigateway, "_integrations", "_extract_lambda_ref_from_integration_uri")
    require(apigateway, "_ws_request_context", "_ws_connect_fields")
    require(lambda_svc, "_get_func_record_for_ref_in_scope", "_execution_record_for_config")
    require(lambda_svc, "_execute_function_with_config_scope", "lambda_execute_result_to_api_proxy_response")
    replace(apigateway, "_invoke_ws_lambda", lambda _: invoke)


async def invoke(  # MiniStack's
    api_id: str,
    account_id: str,
    region: str,
    route: dict[str, Any],
    stage: str,
    connection_id: str,
    event_type: str,
    request_id: str,
    body: str,
    source_ip: str,
    headers: dict[str, str],
    query_params: dict[str, Any] | None = None,
    **_: Any,
) -> Any:
    """The response of the route's function. Our WebSocket API has only Lambda integrations."""
    integration = apigateway._integrations[api_id][route["target"].removeprefix("integrations/")]
    function, configuration, _name = lambda_svc._get_func_record_for_ref_in_scope(
        apigateway._extract_lambda_ref_from_integration_uri(integration["integrationUri"]),
        account_id=account_id,
        region=region,
    )
    context = apigateway._ws_request_context(
        api_id, route["routeKey"], stage, connection_id, event_type, request_id, source_ip, headers
    )
    event = {"requestContext": context, "isBase64Encoded": False}
    if event_type == "CONNECT":
        event |= apigateway._ws_connect_fields(headers, query_params)
    if event_type == "MESSAGE":
        event["body"] = body
    record = lambda_svc._execution_record_for_config(function, configuration)
    result = await run_reentrant(lambda_svc._execute_function_with_config_scope, record, event, thread_name="websocket")
    return lambda_svc.lambda_execute_result_to_api_proxy_response(result)[0]
