"""The HTTP side of a service: /livez, /readyz, /metrics and its own routes.

The server has a thread and an event loop of its own, so that a frozen service still answers: that it is frozen. The
service's routes run on the service's loop, where its bus and its locks live.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import prometheus_client
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import CausewayError
from shared.observability import metrics
from shared.settings import ServiceSettings

#: A loop that has been silent for longer, in seconds, is not alive.
LIVE_WITHIN = 15.0
CHECK_TIMEOUT = 5.0

Check = Callable[[], Awaitable[None]]


class OnLoop:
    """An ASGI application that runs on another event loop than its server."""

    def __init__(self, application: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        self._application = application
        self._loop = loop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request there, with ``receive`` and ``send`` here."""
        here = asyncio.get_running_loop()
        served = self._application(scope, _hop(receive, here), _hop(send, here))
        await _across(served, self._loop)


def _hop(call: Callable[..., Awaitable[Any]], loop: asyncio.AbstractEventLoop) -> Callable[..., Awaitable[Any]]:
    async def hopped(*args: Any) -> Any:
        return await _across(call(*args), loop)

    return hopped


async def _across(work: Awaitable[Any], loop: asyncio.AbstractEventLoop) -> Any:
    async def worked() -> Any:
        return await work

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(worked(), loop))


class Health:
    """The answers of the three endpoints."""

    def __init__(self, silence: Callable[[], float], checks: Mapping[str, Check], loop: asyncio.AbstractEventLoop):
        self._silence = silence
        self._checks = checks
        self._loop = loop

    def routes(self) -> list[BaseRoute]:
        """/livez, /readyz, /metrics."""
        return [
            Route("/livez", self.live),
            Route("/readyz", self.ready),
            Route("/metrics", self.metrics),
        ]

    async def live(self, request: Request) -> Response:
        """200 while the service's event loop turns."""
        alive = self._silence() < LIVE_WITHIN
        return JSONResponse({"status": "live" if alive else "frozen"}, 200 if alive else 503)

    async def ready(self, request: Request) -> Response:
        """200 when every check passes; else 503 with the codes of those that do not."""
        told = {name: await self._ask(check) for name, check in self._checks.items()}
        is_ready = all(word == "ok" for word in told.values())
        return JSONResponse({"status": "ready" if is_ready else "not-ready", "checks": told}, 200 if is_ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Prometheus text format."""
        metrics().set("causeway_loop_silence_seconds", self._silence())
        return Response(metrics().expose(), media_type=prometheus_client.CONTENT_TYPE_LATEST)

    async def _ask(self, check: Check) -> str:
        try:
            await asyncio.wait_for(_across(check(), self._loop), CHECK_TIMEOUT)
        except CausewayError as error:
            return error.reason
        except TimeoutError:
            return "timeout"
        except Exception as error:
            return type(error).__name__
        return "ok"


class Server:
    """The server on its thread."""

    def __init__(self, settings: ServiceSettings, health: Health, routes: Sequence[BaseRoute]) -> None:
        self._socket = socket.create_server((settings.http_host, settings.http_port), reuse_port=False)
        own = Mount("/", app=OnLoop(Starlette(routes=list(routes)), asyncio.get_running_loop()))
        application = Starlette(routes=[*health.routes(), own])
        config = uvicorn.Config(application, log_config=None, access_log=False, lifespan="off", server_header=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def stop(self) -> None:
        """Finish the requests in work, then end the thread."""
        self._server.should_exit = True
        await asyncio.to_thread(self._thread.join, 5.0)
        self._socket.close()
