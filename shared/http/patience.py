"""HTTP/1.1 as uvicorn speaks it, to those who come to the point.

uvicorn waits for the head of a request as long as a peer holds the connection, and takes so many connections and no
more: whoever opens them all and says nothing shuts everybody out, probes too.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds for the head of a request, from its first byte on; of the first one, from the connection on.
HEAD_PATIENCE = 10.0


class PromptProtocol(H11Protocol):
    """Closes a connection on which no whole head comes in time; bodies have deadlines of their own (their handlers).

    Whoever was answered before the end of a body, and goes on with it, has as long.
    """

    patience = HEAD_PATIENCE

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Somebody is there."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Some bytes of a head or a body."""
        if self._is_idle:
            self._wait()
        super().data_received(data)
        if not self._is_idle:
            self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """The connection becomes a websocket, and is another protocol's."""
        self._wait_no_more()
        super().handle_websocket_upgrade(event)

    @property
    def _is_idle(self) -> bool:
        """Whether no request is in work."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.patience, self._give_up)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self._is_idle:
            self.transport.close()
