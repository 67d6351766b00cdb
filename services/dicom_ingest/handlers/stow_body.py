"""The body of a request as it comes, within bounds of size and of time."""

import asyncio
import time

from starlette.requests import Request
from starlette.types import Message

from services.dicom_ingest.domain.stow import RequestRefused
from shared.giving_way import Progress


class Pace:
    """How slow a client may be: so long silent (seconds), and no less than so many bytes a second.

    Only the time that we wait for the client counts, and it begins anew with each instance that was stored: a sender
    that makes up each image before it sends it is slow between them.
    """

    def __init__(self, idle: float, min_throughput: int) -> None:
        self.idle = idle
        self._min_throughput = min_throughput
        self._waited, self._received, self._progress = 0.0, 0, 0

    def note(self, waited: float, received: int, progress: int) -> bool:
        """Whether the client is fast enough, after another wait; ``progress`` grows with what was stored."""
        if progress != self._progress:
            self._waited, self._received, self._progress = 0.0, 0, progress
        self._waited += waited
        self._received += received
        return self._waited < self.idle or self._received >= self._waited * self._min_throughput


class Body:
    """Chunks of a request's body; ``progress`` tells how the client gets on."""

    def __init__(self, request: Request, pace: Pace, max_size: int, progress: Progress) -> None:
        self._request, self._pace, self._max_size = request, pace, max_size
        self.progress = progress
        self._size = self._stored = 0
        self._is_over = self._gives_way = False
        self._first = b""
        self._waiting: asyncio.Timeout | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the client is gone; what came before may still be heard."""
        return bool(getattr(self._request.state, "is_gone", bool)())

    def give_way(self) -> None:
        """Hear no more: another one is heard in its place."""
        self._gives_way = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def begin(self) -> None:
        """Return when it begins: who says nothing needs no place. RequestRefused, as ``next``."""
        self._first = await self.next(progress=0)

    async def next(self, *, progress: int) -> bytes:
        """The next bytes, none at the end; RequestRefused (408, 413, 503, or 400 for a client that is gone).

        ``progress`` grows with what was stored.
        """
        if progress != self._stored:
            self.progress.finish()
            self._stored = progress
        if self._first:
            first, self._first = self._first, b""
            return first
        while not self._is_over:
            chunk = await self._receive(progress)
            self._size += len(chunk)
            if self._size > self._max_size:
                raise RequestRefused("request-too-large", 413)
            if chunk:
                return chunk
        return b""

    async def _receive(self, progress: int) -> bytes:
        begun = time.monotonic()
        message = await self._message()
        if message["type"] == "http.disconnect":
            raise RequestRefused("client-lost", 400)
        chunk: bytes = message.get("body", b"")
        self.progress.bring(len(chunk))
        self._is_over = not message.get("more_body", False)
        if not self._pace.note(time.monotonic() - begun, len(chunk), progress):
            raise RequestRefused("too-slow", 408)
        return chunk

    async def _message(self) -> Message:
        self.progress.wait()
        try:
            async with asyncio.timeout(0 if self._gives_way else self._pace.idle) as self._waiting:
                return await self._request.receive()
        except TimeoutError:
            if self._gives_way:
                raise RequestRefused("gave-way", 503) from None
            raise RequestRefused("too-slow", 408) from None
        finally:
            self._waiting = None
