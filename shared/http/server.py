"""The HTTP server of a service: /livez, /readyz, /metrics and its own routes.

It has a thread and an event loop of its own, so that a frozen service still answers: that it is frozen. The service's
routes run on the service's loop. A probe that gets no answer at all counts as dead, too.
"""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount

from shared.errors import CausewayError, answer
from shared.http.accepting import AcceptingServer
from shared.http.access import BindRefused, Guarded, Tokens, check_binding
from shared.http.certificate import renewing_context
from shared.http.health import Check, Health
from shared.http.loops import OnLoop
from shared.http.places import Places
from shared.observability import logger
from shared.settings import ServiceSettings
from shared.watched import Watched

#: Connections that wait to be accepted.
_BACKLOG = 1024

log = logger("causeway.http")


class HttpServer:
    """Made on the service's event loop; listens from then on, answers after ``start``.

    ``silence`` gives the seconds since the service's loop last turned. BindRefused outside loopback without TLS and a
    token, and where the certificate cannot be used; OSError when the port is taken.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        routes: Sequence[BaseRoute] = (),
        checks: Mapping[str, Check] | None = None,
        silence: Callable[[], float] = lambda: 0.0,
    ) -> None:
        check_binding(settings)
        tokens = _tokens(settings.http_token_file) if settings.http_token_file else None
        loop = asyncio.get_running_loop()
        application = _application(Health(silence, checks or {}, loop).routes(), routes, loop)
        config = _config(Guarded(application, tokens, routes), settings)
        self._socket = socket.create_server((settings.http_host, settings.http_port), backlog=_BACKLOG)
        # Inherited by what it accepts, where asyncio sets it for sockets of its own making only: without it the second
        # half of an answer waits 40 ms for the peer's delayed acknowledgement.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server = AcceptingServer(config, Places(settings.http_max_connections))
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()
        log.info("http-listening", port=self.port)

    async def stop(self) -> None:
        """Finish the requests in work, for at most five seconds, and listen no more."""
        self._server.should_exit = True
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, 5.0)
        self._socket.close()

    async def serve(self) -> None:
        """Answer until cancelled: a server as a task."""
        self.start()
        try:
            await asyncio.Event().wait()
        finally:
            await self.stop()

    def _run(self) -> None:
        self._server.run([self._socket])


def _tokens(path: Path) -> Callable[[], Tokens]:
    """Those of the file at every moment; a file that cannot be used leaves those that were."""
    return Watched("tokens", [path], lambda: Tokens.load(path)).get


def _application(
    health: Sequence[BaseRoute], routes: Sequence[BaseRoute], loop: asyncio.AbstractEventLoop
) -> Starlette:
    own = Starlette(routes=list(routes), exception_handlers={CausewayError: _refused, Exception: _failed})
    return Starlette(routes=[*health, Mount("/", app=OnLoop(own, loop))])


async def _refused(_request: Request, error: Exception) -> Response:
    """An error of ours, by its code (shared.errors)."""
    assert isinstance(error, CausewayError)
    return JSONResponse({"reason": error.reason}, answer(error).http)


async def _failed(_request: Request, error: Exception) -> Response:
    """Any other, without its text."""
    return JSONResponse({"reason": "unexpected"}, 500)


def _context(settings: ServiceSettings) -> ssl.SSLContext | None:
    """Of the certificate, if there is one (access.check_binding)."""
    if settings.http_tls_cert is None or settings.http_tls_key is None:
        return None
    try:
        return renewing_context(settings.http_tls_cert, settings.http_tls_key)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BindRefused(f"CAUSEWAY_HTTP_TLS_CERT or CAUSEWAY_HTTP_TLS_KEY cannot be used: {reason}") from None


def _config(application: Guarded, settings: ServiceSettings) -> uvicorn.Config:
    # Its own access log would write paths and queries, which name patients.
    logging.getLogger("uvicorn.access").disabled = True
    context = _context(settings)
    return uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        # Of a websocket: bytes of a message, and seconds between two pings and until the answer to one.
        ws_max_size=4096,
        ws_max_queue=4,
        ws_ping_interval=15.0,
        ws_ping_timeout=15.0,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
        ssl_context_factory=None if context is None else lambda *_: context,
    )
