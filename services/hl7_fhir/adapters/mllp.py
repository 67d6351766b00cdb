"""The Minimal Lower Layer Protocol, release 1: ``<VT> message <FS><CR>`` over TCP, one answer per message.

Whatever a peer sends or leaves out costs a bounded time and bounded memory: a frame has a size and a deadline, what
stands between frames has a bound, and only a few large frames are held at once.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from shared.errors import RetryLater
from shared.observability import logger

START, END = b"\x0b", b"\x1c\r"

_CHUNK = 64 * 1024
_HEAD = 4096

log = logger("causeway.mllp")


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds. ``idle`` is how long a connection may say nothing between messages."""

    frame: int = 10 * 1024 * 1024
    between: int = 1024
    large: int = 256 * 1024
    large_at_once: int = 2
    connections: int = 256
    idle: float = 3600.0
    message: float = 60.0
    answer: float = 30.0
    farewell: float = 5.0


class FrameTooLarge(Exception):
    """The frame is longer than allowed; ``head`` is how it begins."""

    def __init__(self, head: bytes) -> None:
        super().__init__("frame-too-large")
        self.head = head


class NoFrame(Exception):
    """The peer sent something between frames that is no frame."""


class Ended(Exception):
    """The peer closed the connection, perhaps within a frame."""


class Frames:
    """The frames of one connection. ``slots`` bounds how many large ones are held at once."""

    def __init__(self, reader: asyncio.StreamReader, limits: Limits, slots: asyncio.Semaphore) -> None:
        self._reader = reader
        self._limits = limits
        self._slots = slots
        self._buffer = bytearray()

    @contextlib.asynccontextmanager
    async def next(self) -> AsyncIterator[bytes]:
        """The content of the next frame, held for the time of the context.

        TimeoutError when the peer is too slow, FrameTooLarge, NoFrame, Ended.
        """
        async with asyncio.timeout(self._limits.idle):
            await self._skip_to_start()
        async with contextlib.AsyncExitStack() as held:
            async with asyncio.timeout(self._limits.message):
                content = await self._content(held)
            yield content

    async def discard(self) -> None:
        """Read on without keeping anything, for a bounded time, until the peer has ended.

        Closing a connection that still receives resets it, and the peer would lose the answer it was given
        (RFC 1122 section 4.2.2.13).
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.farewell):
                while await self._reader.read(_CHUNK):
                    self._buffer.clear()

    async def _skip_to_start(self) -> None:
        while (at := self._buffer.find(START)) < 0:
            if len(self._buffer) > self._limits.between:
                raise NoFrame
            await self._fill()
        if at > self._limits.between:
            raise NoFrame
        del self._buffer[: at + 1]

    async def _content(self, held: contextlib.AsyncExitStack) -> bytes:
        scanned, is_large = 0, False
        while (at := self._buffer.find(END, scanned)) < 0:
            if len(self._buffer) > self._limits.frame:
                raise FrameTooLarge(bytes(self._buffer[:_HEAD]))
            if len(self._buffer) > self._limits.large and not is_large:
                is_large = True
                await held.enter_async_context(self._slots)
            scanned = max(0, len(self._buffer) - 1)
            await self._fill()
        if at > self._limits.frame:
            raise FrameTooLarge(bytes(self._buffer[:_HEAD]))
        content = bytes(memoryview(self._buffer)[:at])
        del self._buffer[: at + len(END)]
        return content

    async def _fill(self) -> None:
        chunk = await self._reader.read(_CHUNK)
        if not chunk:
            raise Ended
        self._buffer += chunk


class MllpServer:
    """Listens, and gives each message to ``answer``; an oversize frame's head to ``refuse``, then hangs up."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        answer: Callable[[bytes], Awaitable[bytes]],
        refuse: Callable[[bytes], Awaitable[bytes]],
        limits: Limits | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._answer = answer
        self._refuse = refuse
        self._limits = limits or Limits()
        self._connections: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.listening = asyncio.Event()
        self.port = 0

    async def run(self) -> None:
        """Serve until cancelled; messages that are being answered then are answered first."""
        slots = asyncio.Semaphore(self._limits.large_at_once)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._accept(reader, writer, slots)

        server = await asyncio.start_server(serve, self._host, self._port, limit=_CHUNK)
        self.port = server.sockets[0].getsockname()[1]
        self.listening.set()
        log.info("mllp-listening", port=self.port)
        try:
            await asyncio.Event().wait()
        finally:
            self._stopping = True
            server.close()
            await self._hang_up()

    async def check(self) -> None:
        """RetryLater unless it listens: a readiness check."""
        if not self.listening.is_set() or self._stopping:
            raise RetryLater("mllp-not-listening")

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, slots: asyncio.Semaphore
    ) -> None:
        if len(self._connections) >= self._limits.connections:
            log.warning("mllp-connection-refused", count=len(self._connections))
            writer.close()
            return
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served by a task")
        self._connections.add(task)
        _keep_alive(writer)
        try:
            await self._converse(task, Frames(reader, self._limits, slots), writer)
        finally:
            self._connections.discard(task)
            self._busy.discard(task)
            writer.close()

    async def _converse(self, task: asyncio.Task[None], frames: Frames, writer: asyncio.StreamWriter) -> None:
        try:
            while not self._stopping:
                self._busy.discard(task)
                async with frames.next() as content:
                    self._busy.add(task)
                    await self._send(writer, await self._answer(content))
        except FrameTooLarge as refusal:
            log.warning("mllp-frame-too-large")
            await self._send(writer, await self._refuse(refusal.head))
            writer.write_eof()
            await frames.discard()
        except (NoFrame, TimeoutError) as ending:
            log.warning("mllp-connection-dropped", error=type(ending).__name__)
        except (Ended, ConnectionError):
            pass

    async def _send(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        async with asyncio.timeout(self._limits.answer):
            writer.write(START + answer + END)
            await writer.drain()

    async def _hang_up(self) -> None:
        """Let messages that are being committed get their answers, close what is idle, then close everything."""
        for task in self._connections - self._busy:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=self._limits.farewell)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """A peer that vanished without a word is noticed by TCP long before the idle time."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
