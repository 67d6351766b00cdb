"""Answers of many pieces, and one that is given before the request was heard to its end."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

#: How long a client is heard that goes on sending, seconds.
_LINGER = 5.0


def in_pieces(content: Iterator[bytes], status: int, headers: Mapping[str, str], media_type: str) -> Response:
    """An answer that is made while it is sent."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in content:
            yield piece
            # Others have their turn meanwhile.
            await asyncio.sleep(0)

    return StreamingResponse(pieces(), status, headers, media_type)


class Early(Response):
    """Answers, hears out a little of what still comes and closes.

    A connection that is closed on bytes nobody has read is reset, and the client would lose the answer (RFC 9112
    section 9.6).
    """

    def __init__(
        self, content: Iterator[bytes], status: int, headers: Mapping[str, str], media_type: str = "application/json"
    ) -> None:
        super().__init__(None, status, {**headers, "Connection": "close"}, media_type)
        del self.headers["Content-Length"]
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the whole answer, and its end when the client has stopped."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for piece in self._content:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                    pass
        await send({"type": "http.response.body", "body": b""})
