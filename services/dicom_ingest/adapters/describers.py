"""The processes that describe batches (describer.py), as landing uses them."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from services.dicom_ingest.adapters.describer import (
    DAMAGED,
    FAILED,
    FRAME,
    HEADERS,
    MANIFEST,
    PROGRESS,
    STUDY,
    cpu_seconds,
)
from services.dicom_ingest.domain.bounds import USUAL, Bounds
from services.dicom_ingest.domain.instance import RecordDamaged
from services.dicom_ingest.ports import Description, SpooledBatch
from shared.errors import CausewayError
from shared.messaging.threads import in_thread
from shared.observability import logger

_COMMAND = (sys.executable, "-m", "services.dicom_ingest.adapters.describer")
_ATTEMPTS = 2
_GOODBYE = 5.0
#: Seconds between two looks at how far a process is, and how many times its seconds of CPU it may take by the clock.
_LOOK, _BY_THE_CLOCK = 0.5, 5
#: Seconds that a process may take to begin.
_BEGINNING = 60.0

log = logger("dicom_ingest.describers")


class DescribingFailed(CausewayError):
    """A batch cannot be described: the process ended, or met an error that nobody foresaw."""

    def __init__(self) -> None:
        super().__init__("describing-failed")


class _Died(Exception):
    """The process ended in the middle of an answer, at the instance of this number, or before the first (0)."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at


@dataclass(frozen=True)
class DescriberRules:
    """How many processes there are, what each may map (bytes), and what they must know.

    ``seconds`` of CPU may be spent on one instance, besides those that its length allows; ``bounds`` is for its header.
    """

    processes: int
    memory: int
    site_key_file: Path | None
    patient_issuer: str
    order_issuer: str
    seconds: float = 60.0
    bounds: Bounds = USUAL

    def patience(self, length: int) -> float:
        """Seconds by the clock after which a process is taken for one that hangs, at an instance of so many bytes."""
        return _BY_THE_CLOCK * cpu_seconds(self.seconds, length)


@dataclass(frozen=True)
class _Reader:
    """A process, and the handle of the file in which it tells how far it is."""

    process: Process
    progress: int

    def begin(self) -> None:
        """It has looked at nothing of what it is asked now."""
        os.pwrite(self.progress, PROGRESS.pack(0), 0)

    @property
    def at(self) -> int:
        """The number of the instance that it looked at last."""
        number: int = PROGRESS.unpack(os.pread(self.progress, PROGRESS.size, 0))[0]
        return number


class Describers:
    """So many processes, each at one batch at a time, started when a batch needs one, and again when one has ended."""

    def __init__(self, rules: DescriberRules) -> None:
        self._rules = rules
        self._free = asyncio.Semaphore(rules.processes)
        self._idle: list[_Reader] = []

    async def close(self) -> None:
        """Let them end."""
        for reader in self._idle:
            await _end(reader)
        self._idle.clear()

    async def describe(self, batch: SpooledBatch, headers: IO[bytes]) -> Description:
        """Write the lines of headers to ``headers`` and return the rest; RecordDamaged, DescribingFailed.

        An instance at which the process ends again, or hangs, is left unread: what one of them does holds up no other.
        """
        lengths = [0, *(record.length for record in batch.records)]
        deaths: Counter[int] = Counter()
        async with self._free:
            while max(deaths.values(), default=0) <= _ATTEMPTS:
                headers.seek(0)
                headers.truncate()
                unread = [number for number, times in deaths.items() if times == _ATTEMPTS]
                request = {"path": str(batch.path), "left_out": batch.left_out, "unread": unread}
                try:
                    return await self._ask(_line(request), headers, lengths)
                except _Died as died:
                    deaths[died.at] += 1
                    log.error("describer-died", batch_id=batch.opening.batch_id, sequence=died.at)
        raise DescribingFailed

    async def _ask(self, request: bytes, headers: IO[bytes], lengths: list[int]) -> Description:
        reader = self._idle.pop() if self._idle else await self._start()
        talk = asyncio.ensure_future(_converse(reader, request, headers))
        try:
            await self._watch(reader, talk, lengths)
            answer = await talk
        except BaseException:
            # Nobody knows where in its answer it is.
            talk.cancel()
            with contextlib.suppress(ProcessLookupError):
                reader.process.kill()
            await _end(reader)
            raise
        self._idle.append(reader)
        return _description(answer)

    async def _watch(self, reader: _Reader, talk: asyncio.Future[Any], lengths: list[int]) -> None:
        """Return when the talk is over; _Died when the process is at one instance for too long.

        What counts is how often it was seen there: while all of us are halted, nobody hangs.
        """
        at, waited = 0, 0.0
        while not (await asyncio.wait({talk}, timeout=_LOOK))[0]:
            at, before = reader.at, at
            waited = waited + _LOOK if at == before else 0.0
            patience = self._rules.patience(lengths[min(at, len(lengths) - 1)])
            if waited > (patience if at else max(patience, _BEGINNING)):
                raise _Died(at)

    async def _start(self) -> _Reader:
        # In memory: a file on the disk would be part of what each sync of a receiver writes.
        handle = os.memfd_create("progress")
        try:
            process = await asyncio.create_subprocess_exec(
                *_COMMAND, str(handle), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, pass_fds=[handle]
            )
        except BaseException:
            os.close(handle)
            raise
        assert process.stdin is not None
        process.stdin.write(_line({**asdict(self._rules), "site_key_file": str(self._rules.site_key_file)}))
        return _Reader(process, handle)


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode() + b"\n"


async def _converse(reader: _Reader, request: bytes, headers: IO[bytes]) -> dict[bytes, bytes]:
    """The last frame of each kind but headers, which go where they belong."""
    process = reader.process
    assert process.stdin is not None and process.stdout is not None
    told: dict[bytes, bytes] = {}
    reader.begin()
    try:
        process.stdin.write(request)
        await process.stdin.drain()
        while not told.keys() & {STUDY, DAMAGED, FAILED}:
            kind, length = FRAME.unpack(await process.stdout.readexactly(FRAME.size))
            content = await process.stdout.readexactly(length)
            if kind == HEADERS:
                await in_thread(headers.write, content)
            else:
                told[kind] = content
    except (asyncio.IncompleteReadError, ConnectionError):
        raise _Died(reader.at) from None
    return told


def _description(told: dict[bytes, bytes]) -> Description:
    if DAMAGED in told:
        raise RecordDamaged
    if FAILED in told:
        log.error("describing-failed", error=told[FAILED].decode())
        raise DescribingFailed
    study_uid, study_ref = json.loads(told[STUDY])
    return Description(told[MANIFEST], study_uid, study_ref)


async def _end(reader: _Reader) -> None:
    """It ends when its input does."""
    process = reader.process
    assert process.stdin is not None
    process.stdin.close()
    os.close(reader.progress)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _GOODBYE)
        return
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
