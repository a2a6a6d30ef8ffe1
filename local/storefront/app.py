"""The storefront's server: its files, its configuration, and the requests that it forwards."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from local.emulator.state import State
from local.storefront import break_it, problem, sample_customer
from local.storefront.forwarding import Forwarder
from local.storefront.guard import Guard
from local.storefront.headers import SecurityHeaders
from operations.stack import Stack, described
from tools import flow
from tools.checkout import ROOT

FILES = ROOT / "web"

Operation = Callable[[Stack, Request, dict[str, Any]], dict[str, Any]]


def storefront(state: State, port: int, *, sockets: str = "", files: Path = FILES) -> ASGIApp:
    """The server of one local stack. It reads the stack at each request: a deploy may have changed it meanwhile."""
    forwarder = Forwarder()

    def stack() -> Stack:
        try:
            return described(json.loads(state.stack.read_text()))
        except FileNotFoundError:
            raise HTTPException(503, "no local stack is deployed; see the terminal of npm start") from None

    async def configuration(_: Request) -> Response:
        now = stack()
        return JSONResponse(
            {
                "stage": now.stage,
                "region": now.outputs["region"],
                "apiUrl": "/api",
                "cognitoUrl": "/cognito",
                "userPoolClientId": now.outputs["UserPoolClientId"],
                "breakIt": True,
                "sampleCustomer": sample_customer.described(state),
                "topology": flow.described(),
            }
        )

    async def api(request: Request) -> Response:
        return await forwarder.to_api(request, stack())

    async def cognito(request: Request) -> Response:
        return await forwarder.to_cognito(request, stack())

    def panel(path: str, method: str, operation: Operation) -> Route:
        async def respond(request: Request) -> Response:
            body = await _object(request) if method == "POST" else {}
            try:
                return JSONResponse(await run_in_threadpool(operation, stack(), request, body))
            except (BotoCoreError, OSError) as error:  # a ClientError stays a 500: AWS refused what it should accept
                raise HTTPException(502, problem.NO_RESPONSE) from error

        return Route(f"/break-it/{path}", respond, methods=[method], name=path)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await forwarder.close()

    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/config.json", configuration),
            Route("/api/{path:path}", api, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
            Route("/cognito", cognito, methods=["POST"]),
            panel("state", "GET", break_it.state),
            panel("gateway", "POST", break_it.switch),
            panel("send-twice", "POST", break_it.send_twice),
            panel("redrive", "POST", break_it.redrive_all),
            panel("rescue", "GET", break_it.rescue),
            panel("inbox", "GET", break_it.inbox),
            Route(sample_customer.PATH, partial(sample_customer.sign_in, state), methods=["POST"]),
            Mount("/", StaticFiles(directory=files, html=True)),
        ],
        middleware=[Middleware(Guard, port=port)],
        exception_handlers={HTTPException: problem.from_exception, Exception: problem.unexpected},
    )
    return SecurityHeaders(
        app, sockets=sockets
    )  # around all of it: Starlette handles uncaught errors outside of its middleware


async def _object(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        raise HTTPException(400, "send a JSON object") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "send a JSON object")
    return body
