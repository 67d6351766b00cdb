"""One connection of the Minimal Lower Layer Protocol, release 1: ``<VT> message <FS><CR>``, a message at a time.

Whatever a peer sends or leaves out costs a bounded time and bounded memory: a frame has a size and a deadline, what
stands between frames has a bound, answers that are not read have one, and only a few large frames are held at once.
"""

import asyncio
import hashlib
import socket
from collections.abc import Awaitable
from typing import cast

from services.hl7_fhir.adapters.hall import Hall
from services.hl7_fhir.domain.intake.senders import Origin
from shared.observability import logger

START, END = b"\x0b", b"\x1c\r"

_HEAD = 4096

log = logger("causeway.mllp")


class Conversation(asyncio.Protocol):
    """A connection. It hears nothing more while a message is answered than it has room for."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._limits = hall.limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._origin = Origin()
        self._buffer = bytearray()
        self._scanned = 0
        self._in_frame = self._has_place = self._waits_for_place = False
        self._answering: asyncio.Task[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._paused = self._is_over = self._has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the peer in, unless there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._hall.present) >= self._limits.connections:
            log.warning("mllp-connection-refused", count=len(self._hall.present))
            self._is_over = True
            self._transport.close()
            return
        self._hall.present.add(self)
        self._origin = _origin(self._transport)
        _keep_alive(self._transport)
        self._expect(self._limits.idle)

    def connection_lost(self, _: Exception | None) -> None:
        """The peer has gone: a message that is being kept is kept all the same."""
        self._is_over = True
        self._writable.set()
        if self._timer is not None:
            self._timer.cancel()
        self._hall.leave(self)
        if self._answering is None:
            self._give_back_place()
        self._buffer.clear()

    def data_received(self, data: bytes) -> None:
        """Take what came; a whole message is answered."""
        if self._is_over:
            return  # closing while data comes in would take the last answer from the peer (RFC 1122 section 4.2.2.13)
        self._buffer += data
        if self._answering is None:
            self._proceed()
        elif len(self._buffer) > self._limits.large:
            self._pause()

    def eof_received(self) -> bool:
        """The peer has said all; what it said last is still answered."""
        self._has_ended = True
        if self._answering is None:
            return False
        return self._transport.get_extra_info("ssl_object") is None

    def pause_writing(self) -> None:
        """The peer does not read its answers."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._writable.set()

    def place_is_free(self) -> None:
        """There is a place for the large frame that waits."""
        self._has_place, self._waits_for_place = True, False
        self._expect(self._limits.message)
        self._resume()
        self._proceed()

    def close_unless_busy(self) -> bool:
        """Whether it could be closed because no message is being answered."""
        if self._answering is None:
            self._transport.close()
        return self._answering is None

    def abort(self) -> None:
        """End it now."""
        if self._answering is not None:
            self._answering.cancel()
        self._transport.abort()

    def _proceed(self) -> None:
        """Find the next message in what has come."""
        if not self._in_frame and not self._find_start():
            return
        end = self._buffer.find(END, self._scanned)
        if end > self._limits.frame or (end < 0 and len(self._buffer) > self._limits.frame):
            self._start_answering(self._refuse(bytes(self._buffer[:_HEAD])))
        elif end >= 0:
            content = bytes(memoryview(self._buffer)[:end])
            del self._buffer[: end + len(END)]
            self._in_frame, self._scanned = False, 0
            self._start_answering(self._answer(content))
        else:
            self._scanned = max(0, len(self._buffer) - 1)
            self._make_sure_of_place()

    def _find_start(self) -> bool:
        at = self._buffer.find(START)
        if at > self._limits.between or (at < 0 and len(self._buffer) > self._limits.between):
            self._drop("NoFrame")
            return False
        if at < 0:
            return False
        del self._buffer[: at + 1]
        self._in_frame, self._scanned = True, 0
        self._expect(self._limits.message)
        return True

    def _make_sure_of_place(self) -> None:
        if len(self._buffer) <= self._limits.large or self._has_place or self._waits_for_place:
            return
        self._has_place = self._hall.take_place(self)
        if not self._has_place:
            self._waits_for_place = True
            self._deadline = float("inf")  # it is we who keep the peer waiting
            self._pause()

    def _start_answering(self, work: Awaitable[None]) -> None:
        self._deadline = float("inf")
        self._answering = asyncio.ensure_future(work)

    async def _answer(self, content: bytes) -> None:
        try:
            answers = await self._hall.answer(content, self._origin)
            await self._send(answers)
        except ConnectionError:
            self._is_over = True
        except Exception as error:
            self._drop(type(error).__name__)
        finally:
            self._answering = None
            self._give_back_place()
        if not self._is_over:
            self._go_on()

    def _go_on(self) -> None:
        self._expect(self._limits.idle)
        self._proceed()
        if self._answering is None:
            if self._has_ended:
                self._transport.close()
            else:
                self._resume()

    async def _refuse(self, head: bytes) -> None:
        """Answer, hear the rest out for a while without keeping it, and hang up."""
        log.warning("mllp-frame-too-large")
        self._is_over = True
        self._buffer.clear()
        self._give_back_place()
        try:
            await self._send(await self._hall.refuse(head, self._origin))
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._resume()
        finally:
            self._answering = None
            self._expect(self._limits.farewell)

    async def _send(self, answers: tuple[bytes, ...]) -> None:
        """Write the answers; a peer that does not read them in time loses its connection."""
        for answer in answers:
            self._transport.write(START + answer + END)
        if not self._writable.is_set():
            try:
                async with asyncio.timeout(self._limits.answer):
                    await self._writable.wait()
            except TimeoutError:
                self._drop("TimeoutError")

    def _expect(self, seconds: float) -> None:
        """Drop the peer unless something else is expected within so many seconds."""
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer = None
        if self._deadline == float("inf"):
            return  # it is we who are awaited; the timer is set again after the answer
        if self._loop.time() >= self._deadline:
            self._drop("TimeoutError")
        else:
            self._set_timer()

    def _drop(self, error: str) -> None:
        log.warning("mllp-connection-dropped", error=error)
        self._is_over = True
        self._buffer.clear()
        self._transport.abort()

    def _give_back_place(self) -> None:
        if self._has_place:
            self._has_place = False
            self._hall.leave_place()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()


def _origin(transport: asyncio.Transport) -> Origin:
    peer, secured = transport.get_extra_info("peername"), transport.get_extra_info("ssl_object")
    shown = secured.getpeercert(binary_form=True) if secured is not None else None
    return Origin(peer[0] if peer else "", hashlib.sha256(shown).hexdigest() if shown else "")


def _keep_alive(transport: asyncio.Transport) -> None:
    """A peer that vanished without a word is noticed by TCP long before the idle time."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
