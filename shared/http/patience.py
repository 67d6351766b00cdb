"""HTTP/1.1 as uvicorn speaks it, to those who come to the point.

uvicorn waits for the head of a request, and for a peer that reads no answer, as long as the peer holds the connection.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

import h11
from starlette.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from shared.giving_way import MOMENT, PAUSE, Progress
from shared.http.access import OPEN_PATHS

#: Seconds for the head of a request, from its first byte on; of the first one, from the connection on.
HEAD_PATIENCE = 10.0
#: Bytes per second of a body below which a client does not get on.
_LEAST = 16 * 1024
#: Seconds after which a client may come again.
_RETRY_AFTER = "5"
_GAVE_WAY = b'{"reason":"gave-way"}'


class PromptProtocol(H11Protocol):
    """Closes a connection on which no whole head comes in time; bodies have deadlines of their own (their handlers).

    Whoever was answered before the end of a body, and goes on with it, has as long. It knows how the client gets on,
    and may have to give way (shared.http.places). Handlers find ``is_gone`` in a request's state: else they would hear
    that a client is gone only while they hear its body.
    """

    patience = HEAD_PATIENCE

    def __init__(self, connection: socket.socket, address: str, is_crowded: Callable[[], bool], **named: Any) -> None:
        """``connection`` is what was accepted, below TLS; while ``is_crowded`` only probes are served."""
        super().__init__(**named)
        self.connection, self.address, self._is_crowded = connection, address, is_crowded
        self._application, self.app = self.app, self._serve
        self._waiting: asyncio.TimerHandle | None = None
        self._serving = 0
        self._is_websocket = False
        #: Whether it ever brought a request.
        self.has_asked = False
        self._begin()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Somebody is there."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Some bytes of a head or a body."""
        was_idle = self.is_idle
        if was_idle:
            self._wait()
        super().data_received(data)
        if self.is_idle:
            return
        self._wait_no_more()
        self.has_asked = True
        if was_idle:
            self._begin()
        self._progress.bring(len(data))
        self._awaits_body()

    def on_response_complete(self) -> None:
        """The answer is given; the next request may be there already."""
        self.has_asked = True
        self._begin()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The answer is not read as fast as it is made."""
        self.since = self.loop.time()
        super().pause_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """The connection becomes a websocket, and is another protocol's."""
        self._wait_no_more()
        self._is_websocket = self.has_asked = True
        super().handle_websocket_upgrade(event)

    @property
    def is_idle(self) -> bool:
        """Whether no request is in work."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_new(self) -> bool:
        """Whether it deserves another moment."""
        return self.loop.time() - self.since < MOMENT

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left, no handler of its request either."""
        return self.connection.fileno() < 0 and not self._serving

    def is_waited_for(self) -> bool:
        """Whether the client does not get on, and nothing else is what we wait for.

        A websocket is its handler's.
        """
        if self._is_websocket:
            return False
        if self._leaves_answer():
            return self.loop.time() - self.since >= PAUSE
        return self.is_idle or (self._awaits_body() and self._progress.is_slow())

    def give_way(self) -> None:
        """End it at once: what is in work hears that its client is gone, and the client, if it can, to come again."""
        self._wait_no_more()
        if self.transport is not None:
            self._say_so()
            self.transport.abort()
        # A handshake, and a transport that waits for the peer to close, know of no abort.
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _begin(self) -> None:
        """Silence begins, or a request."""
        self.since = self.loop.time()
        self._progress = Progress(_LEAST, self.loop.time)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        cycle = self.cycle
        scope["state"]["is_gone"] = lambda: cycle.disconnected
        self._serving += 1
        try:
            if scope["path"] not in OPEN_PATHS and self._is_crowded():
                await JSONResponse({"reason": "busy"}, 503, {"Retry-After": _RETRY_AFTER})(scope, receive, send)
            else:
                await self._application(scope, receive, send)
        finally:
            self._serving -= 1

    def _leaves_answer(self) -> bool:
        if self.transport is None:
            return False
        if self.flow.write_paused or self.transport.is_closing():
            return True
        return self.is_idle and self.transport.get_write_buffer_size() > 0

    def has_said_more(self) -> bool:
        """Whether bytes of it are there that we have not read yet."""
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _awaits_body(self) -> bool:
        """Whether more of the body is to come, and that we are ready for it; the wait counts from now on."""
        cycle = self.cycle
        awaits = cycle.more_body and not cycle.waiting_for_100_continue and not self.flow.read_paused
        if awaits:
            self._progress.wait()
        return bool(awaits)

    def _say_so(self) -> None:
        if self.is_idle or self.cycle.response_started or self.transport.is_closing():
            return
        lines = {"Content-Type": "application/json", "Content-Length": str(len(_GAVE_WAY)), "Connection": "close"}
        headers = [*lines.items(), ("Retry-After", _RETRY_AFTER)]
        said = [h11.Response(status_code=503, headers=headers), h11.Data(data=_GAVE_WAY), h11.EndOfMessage()]
        self.transport.write(b"".join(self.conn.send(each) or b"" for each in said))
        self.cycle.disconnected = True

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.patience, self._give_up)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.is_idle:
            self.transport.close()
