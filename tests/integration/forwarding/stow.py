"""A STOW-RS service behind forwarding: it keeps what comes."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.services import eventually


class Stow:
    """It answers what it is told to; with a ``token``, nothing to whoever does not bear it."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.parts: list[bytes] = []
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.requests = 0

    async def store(self, request: Request) -> Response:
        """Take the one part of a request."""
        self.requests += 1
        boundary = request.headers["content-type"].partition("boundary=")[2]
        body = await request.body()
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({}, 401)
        status, told = self.answers.pop(0) if self.answers else (200, {})
        if status == 200:
            head, _, rest = body.partition(b"\r\n\r\n")
            assert b"application/dicom" in head
            self.parts.append(rest.removesuffix(f"\r\n--{boundary}--\r\n".encode()))
        return JSONResponse(told, status)


@asynccontextmanager
async def serving(stow: Stow, port: int, **options: Any) -> AsyncIterator[None]:
    """The service, listening; ``options`` are uvicorn's."""
    server = _server(stow, port, **options)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    yield
    server.should_exit = True
    await task


@contextmanager
def served(stow: Stow, port: int) -> Iterator[None]:
    """The service, listening in a thread of its own."""
    server = _server(stow, port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield
    server.should_exit = True
    thread.join(10)


def _server(stow: Stow, port: int, **options: Any) -> uvicorn.Server:
    routes = [Route("/dicom-web/studies", stow.store, methods=["POST"])]
    return uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=port, log_level="error", **options))
