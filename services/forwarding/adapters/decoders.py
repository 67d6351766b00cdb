"""The process that decompresses and encodes anew (decoder.py), as a sender uses it."""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass

from services.forwarding.adapters.decoder import END, FRAME, LONGEST, NOT_ENCODABLE, PIECE, TOO_LARGE
from services.forwarding.domain import syntaxes
from shared.errors import CausewayError, RetryLater
from shared.observability import logger

log = logger("causeway.forwarding.decoders")


class CannotConvert(CausewayError):
    """An instance cannot be had in another syntax; ``reason`` says why, as far as it may be told."""


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

    async def convert(self, syntax: str, target: str, length: int, data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The data set ``data`` of ``length`` bytes as ``target`` in pieces, the last one only when all of it is.

        CannotConvert, RetryLater without a process, and what ``data`` raises: then the last piece was not given.
        """
        process, self._idle = self._idle or await self._start(), None
        asking = asyncio.create_task(_ask(process, {"syntax": syntax, "target": target, "length": length}, data))
        is_sound, held = False, b""
        try:
            async for piece in _pieces(process, syntax):
                if held:
                    yield held
                held = piece
            await asking
            is_sound = True
        except (asyncio.IncompleteReadError, ConnectionError):
            await asking  # the process was ended because the data set was
            log.warning("decoder-died")
            raise CannotConvert(_failure(syntax)) from None
        finally:
            # Nobody knows where in its answer another one is.
            if is_sound:
                self._idle = process
            else:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
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


async def _ask(process: Process, request: Mapping[str, object], data: AsyncIterator[bytes]) -> None:
    """Write a request while its answer is read; whoever waits for the answer hears of an error by its end."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    try:
        async for chunk in data:
            with contextlib.suppress(ConnectionError):  # it ended, and may have said why
                process.stdin.write(chunk)
                await process.stdin.drain()
    except BaseException:
        await _end(process)
        raise


async def _pieces(process: Process, syntax: str) -> AsyncIterator[bytes]:
    assert process.stdout is not None
    while True:
        kind, length = FRAME.unpack(await process.stdout.readexactly(FRAME.size))
        content = await process.stdout.readexactly(min(length, LONGEST))
        if kind == PIECE:
            yield content
        elif kind == END:
            return
        else:
            log.warning("conversion-failed", error=content.decode("ascii", "replace"))
            reasons = {TOO_LARGE: syntaxes.TOO_LARGE, NOT_ENCODABLE: syntaxes.RE_ENCODING_FAILED}
            raise CannotConvert(reasons.get(kind, _failure(syntax)))


def _failure(syntax: str) -> str:
    """What failed, where it was not said."""
    return syntaxes.RE_ENCODING_FAILED if syntax in syntaxes.NATIVE else syntaxes.DECOMPRESSION_FAILED


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
