"""The process that decompresses (decoder.py), as a sender uses it."""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

from services.forwarding.adapters.decoder import END, FRAME, LONGEST, PIECE, TOO_LARGE
from services.forwarding.domain import syntaxes
from shared.errors import CausewayError, RetryLater
from shared.observability import logger

log = logger("causeway.forwarding.decoders")


class CannotDecompress(CausewayError):
    """An instance cannot be decompressed; ``reason`` says why, as far as it may be told."""


@dataclass(frozen=True)
class Bounds:
    """What the process may map (bytes), and how long it may work at one instance (seconds of CPU)."""

    memory: int
    seconds: int


class Decoder:
    """One process at one data set at a time; it starts when it is needed, and again when it ended or was left."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._idle: Process | None = None

    async def decompress(self, syntax: str, length: int, data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The data set ``data`` of ``length`` bytes in pieces, the last one only when all of it was decoded.

        CannotDecompress, RetryLater without a process, and what ``data`` raises: then nothing was decoded.
        """
        process, self._idle = self._idle or await self._start(), None
        is_sound, held = False, b""
        try:
            await _ask(process, syntax, length, data)
            async for piece in _pieces(process):
                if held:
                    yield held
                held = piece
            is_sound = True
        except (asyncio.IncompleteReadError, ConnectionError):
            log.warning("decoder-died")
            raise CannotDecompress(syntaxes.DECOMPRESSION_FAILED) from None
        finally:
            # Nobody knows where in its answer another one is.
            if is_sound:
                self._idle = process
            else:
                await _end(process)
        yield held

    async def close(self) -> None:
        """Let the process end."""
        process, self._idle = self._idle, None
        if process is not None:
            await _end(process)

    async def _start(self) -> Process:
        command = (sys.executable, "-m", "services.forwarding.adapters.decoder")
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        except OSError:  # no memory, no process, no file left: it says nothing of the instance
            raise RetryLater("decoder-not-started") from None
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(self._bounds)).encode() + b"\n")
        return process


async def _ask(process: Process, syntax: str, length: int, data: AsyncIterator[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"syntax": syntax, "length": length}).encode() + b"\n")
    async for chunk in data:
        with contextlib.suppress(ConnectionError):  # it ended, and may have said why
            process.stdin.write(chunk)
            await process.stdin.drain()


async def _pieces(process: Process) -> AsyncIterator[bytes]:
    assert process.stdout is not None
    while True:
        kind, length = FRAME.unpack(await process.stdout.readexactly(FRAME.size))
        content = await process.stdout.readexactly(min(length, LONGEST))
        if kind == PIECE:
            yield content
        elif kind == END:
            return
        else:
            log.warning("decompression-failed", error=content.decode("ascii", "replace"))
            raise CannotDecompress(syntaxes.TOO_LARGE if kind == TOO_LARGE else syntaxes.DECOMPRESSION_FAILED)


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
