"""An answer that is given before the request was heard to its end."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

#: How long a client is heard that goes on sending, seconds.
_LINGER = 5.0


class Early(Response):
    """Answers, hears out a little of what still comes and closes.

    A connection that is closed on bytes nobody has read is reset, and the client would lose the answer (RFC 9112
    section 9.6).
    """

    def __init__(
        self, content: bytes | dict[str, Any], status: int, headers: Mapping[str, str], media_type: str | None = None
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        super().__init__(body, status, {**headers, "Connection": "close"}, media_type or "application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the whole answer, and its end when the client has stopped."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                    pass
        await send({"type": "http.response.body", "body": b""})
