"""An ASGI application on another event loop than its server's."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

T = TypeVar("T")


class OnLoop:
    """``application`` on ``loop``, where its service's bus, stores and locks live."""

    def __init__(self, application: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        self._application = application
        self._loop = loop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request there, with ``receive`` and ``send`` here."""
        here = asyncio.get_running_loop()
        await across(self._application(scope, _hop(receive, here), _hop(send, here)), self._loop)


def _hop(call: Callable[..., Awaitable[Any]], loop: asyncio.AbstractEventLoop) -> Callable[..., Awaitable[Any]]:
    async def hopped(*args: Any) -> Any:
        return await across(call(*args), loop)

    return hopped


async def across(work: Awaitable[T], loop: asyncio.AbstractEventLoop) -> T:
    """The result of ``work``, done on ``loop``; cancelled there when it is cancelled here."""

    async def worked() -> T:
        return await work

    if loop is asyncio.get_running_loop():
        return await work
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(worked(), loop))
