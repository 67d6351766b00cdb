"""The body of a request as it comes, within bounds of size and of time."""

import asyncio
import time

from starlette.requests import Request

from services.dicom_ingest.domain.stow import RequestRefused


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
    """Chunks of a request's body."""

    def __init__(self, request: Request, pace: Pace, max_size: int) -> None:
        self._request, self._pace, self._max_size = request, pace, max_size
        self._size = 0
        self._is_over = False

    async def next(self, *, progress: int) -> bytes:
        """The next bytes, none at the end; RequestRefused (408, 413, or 400 for a client that is gone)."""
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
        try:
            message = await asyncio.wait_for(self._request.receive(), self._pace.idle)
        except TimeoutError:
            raise RequestRefused("too-slow", 408) from None
        if message["type"] == "http.disconnect":
            raise RequestRefused("client-lost", 400)
        chunk: bytes = message.get("body", b"")
        self._is_over = not message.get("more_body", False)
        if not self._pace.note(time.monotonic() - begun, len(chunk), progress):
            raise RequestRefused("too-slow", 408)
        return chunk
