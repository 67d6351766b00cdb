"""The spool as an outbox: closes batches when it is time, and keeps trying until each is landed and told.

What a source sends of a study is told in the order in which its batches were closed, also after a restart.
"""

import asyncio
import errno
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from services.dicom_ingest.adapters.batch_file import BATCH
from services.dicom_ingest.adapters.crash import CrashPoints
from services.dicom_ingest.adapters.farewells import ENDED
from services.dicom_ingest.adapters.places import place_of
from services.dicom_ingest.adapters.spool import OpenBatch, Spool, refusal, release
from services.dicom_ingest.adapters.spooled import DAMAGED, SpooledBatch, adopt, tidy
from services.dicom_ingest.domain.instance import RecordDamaged
from services.dicom_ingest.domain.lines import Line, Lines, line_of
from shared.errors import RetryLater
from shared.messaging.threads import in_thread
from shared.observability import logger, metrics

_LOOK, _IDLE_LOOK = 0.05, 0.2
#: Attempts between which store and bus took other batches, after which it is this one that they refuse.
_REFUSALS = 8
#: How long a batch waits that the spool's disk has no room for, seconds.
_FULL_DELAY = 1.0
_FULL = {errno.ENOSPC, errno.EDQUOT}
#: How long a landed batch is counted as still needing room to be sealed, seconds.
_SEALING = 300.0
#: A larger batch has the memory for a part of 64 MiB to itself, bytes.
_LARGE = 4 * 1024 * 1024

log = logger("dicom_ingest.outbox")


@dataclass(frozen=True)
class Delays:
    """Seconds between attempts: while store or bus are away, at ``first`` and at ``longest``; of a batch that is stuck,
    each time that it ``rests`` in its line, and then ``aside``, for as long as it takes.
    """

    first: float = 0.25
    longest: float = 15.0
    rests: tuple[float, ...] = (1.0, 5.0, 15.0)
    aside: float = 60.0


@dataclass(eq=False)
class Waiting:
    """A batch file in its line; an inherited one is verified before it goes on."""

    path: Path
    size: int
    line: Line
    inherited: bool = False
    failures: int = 0


class Outbox:
    """Everything between a committed record and its batch's PubAck."""

    def __init__(
        self,
        *,
        spool: Spool,
        land: Callable[[SpooledBatch], Awaitable[None]],
        crash: CrashPoints,
        workers: int,
        delays: Delays | None = None,
    ) -> None:
        self._spool = spool
        self._land = land
        self._crash = crash
        self._workers = workers
        self._delays = delays or Delays()
        self._lines: Lines[Waiting] = Lines()
        #: Lines whose first batch nobody works on.
        self._ready: asyncio.Queue[Line] = asyncio.Queue()
        #: Batches that the disk had no room to close: those behind them in their lines are not closed before them.
        self._late: dict[Line, OpenBatch] = {}
        self._told = 0
        self._waiting = 0
        self._large = asyncio.Lock()
        self._orphanages: dict[Path, int] = {}
        self._landed: deque[tuple[float, int]] = deque()

    @property
    def waiting_bytes(self) -> int:
        """Bytes in the spool, and those that left it so lately that they may not be sealed yet."""
        while self._landed and self._landed[0][0] < time.monotonic() - _SEALING:
            self._landed.popleft()
        return self.behind() + sum(size for _when, size in list(self._landed))

    def behind(self) -> int:
        """Bytes in the spool, as it is when asked."""
        return self._waiting + self._spool.open_bytes

    def waiting(self) -> int:
        """``waiting_bytes`` as it is when asked."""
        return self.waiting_bytes

    async def adopt(self) -> None:
        """Take over the batches of dead processes."""
        for directory, handle in await in_thread(lambda: list(self._spool.orphans())):
            self._orphanages[directory] = handle
            await in_thread(tidy, directory)
            for path in directory.glob(f"*{ENDED}"):
                path.rename(self._spool.directory / path.name)
        for waiting in await in_thread(_left_in, list(self._orphanages)):
            self._enqueue(waiting)
        for directory in list(self._orphanages):
            self._leave(directory)

    async def run_closing(self) -> None:
        """Close the batches whose time has come, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK if self._spool.open_batches else _IDLE_LOOK)
            await self._close_all(self._spool.take_due())

    async def run_landing(self) -> None:
        """Land closed batches, until cancelled; a batch that cannot be landed now is tried again and again."""
        # Not a TaskGroup, which hands on one cancellation only: where wait_for loses it, the next must come through.
        await asyncio.gather(*(self._work() for _ in range(self._workers)))

    async def _close_all(self, batches: Iterable[OpenBatch]) -> None:
        """Close those of one line one behind the other: on the disk, too, the first is the first."""
        lines = defaultdict(list)
        for batch in batches:
            lines[_line_of(batch)].append(batch)
        await asyncio.gather(*map(self._close_each, lines.values()))

    async def _close_each(self, batches: Iterable[OpenBatch]) -> None:
        for batch in batches:
            await self._close(batch)

    async def _close(self, batch: OpenBatch) -> None:
        if not batch.file.count:
            await in_thread(batch.file.discard)
            return
        line = _line_of(batch)
        if self._late.get(line, batch) is not batch:
            self._spool.put_back(batch, _FULL_DELAY)
            return
        try:
            await in_thread(batch.file.close)
            self._late.pop(line, None)
            self._enqueue(Waiting(batch.file.path, batch.file.end, line))
        except OSError as error:
            # What is committed stays on the disk; if it never takes more, the next process adopts it.
            log.warning("batch-not-closed", batch_id=batch.batch_id, delay=_FULL_DELAY)
            self._spool.put_back(batch, _FULL_DELAY)
            if error.errno in _FULL:
                self._late[line] = batch
            else:
                self._late.pop(line, None)

    def _enqueue(self, waiting: Waiting) -> None:
        self._waiting += waiting.size
        if self._lines.join(waiting):
            self._ready.put_nowait(waiting.line)

    async def _work(self) -> None:
        while True:
            line = await self._ready.get()
            waiting = self._lines.first(line)
            try:
                async with self._large if waiting.size > _LARGE else nullcontext():
                    await self._deliver(waiting)
            except Exception as error:
                # One batch that nobody can land holds up no other; it stays on the disk and is tried again.
                delay = self._postpone(waiting, error)
                asyncio.get_running_loop().call_later(delay, self._ready.put_nowait, waiting.line)
            else:
                self._told += 1
                self._call_next(line)

    def _call_next(self, line: Line) -> None:
        if self._lines.leave(line):
            self._ready.put_nowait(line)

    def _postpone(self, waiting: Waiting, error: Exception) -> float:
        """Say why a batch was not landed; when to try again, seconds from now.

        Room comes back, and its line waits for that. One that is stuck for another reason steps aside at last.
        """
        if isinstance(error, OSError) and error.errno in _FULL:
            log.warning("batch-waits", batch_id=waiting.path.stem, reason=refusal(error), delay=_FULL_DELAY)
            return _FULL_DELAY
        log.error("batch-stuck", exc_info=error)
        metrics().count("causeway_batches_total", outcome="stuck")
        waiting.failures += 1
        if waiting.failures <= len(self._delays.rests):
            return self._delays.rests[waiting.failures - 1]
        self._call_next(waiting.line)
        waiting.line = waiting.path.name
        self._lines.join(waiting)
        return self._delays.aside

    async def _deliver(self, waiting: Waiting) -> None:
        batch = await in_thread(adopt if waiting.inherited else SpooledBatch, waiting.path)
        if batch is None or batch.damaged:
            self._tell_damage(waiting.path, batch)
        if batch is not None:
            try:
                batch = await self._insist_intact(batch)
                self._crash.passed("batch.published")
                await in_thread(batch.remove)
            finally:
                batch.release()
            metrics().count("causeway_batches_total", outcome="stored")
            self._landed.append((time.monotonic(), batch.size))
            log.info("batch-stored", batch_id=batch.opening.batch_id, instances=len(batch.records), bytes=batch.size)
        self._waiting -= waiting.size
        self._leave(waiting.path.parent)

    def _tell_damage(self, path: Path, batch: SpooledBatch | None) -> None:
        """Somebody must look at what the disk has damaged: the sender was told that it is safe."""
        if batch is not None or path.with_suffix(DAMAGED).exists():
            lost = "unknown" if batch is None else batch.damaged
            log.error("batch-damaged", batch_id=path.stem, instances=lost)
            metrics().count("causeway_batches_total", outcome="damaged")

    async def _insist_intact(self, batch: SpooledBatch) -> SpooledBatch:
        """Land the batch, or what the disk has left of it; the batch that was landed."""
        try:
            await self._insist(batch)
            return batch
        except RecordDamaged:
            batch.release()
        left = await in_thread(lambda: SpooledBatch(batch.path, verify=True))
        self._tell_damage(left.path, left)
        if left.records:
            await self._insist(left)
        return left

    async def _insist(self, batch: SpooledBatch) -> None:
        """Until store and bus are there again: what one batch waits for, all wait for, or it is the batch."""
        delay, refusals, told = self._delays.first, 0, self._told
        while True:
            try:
                await self._land(batch)
            except RetryLater as error:
                refusals, told = refusals + (self._told > told), self._told
                if refusals >= _REFUSALS:
                    raise
                log.warning("batch-waits", batch_id=batch.opening.batch_id, reason=error.reason, delay=delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, self._delays.longest)
            else:
                return

    async def stop(self) -> None:
        """Close what associations left open while they were ended, and let the directory go."""
        await self._close_all(self._spool.take_due(everything=True))
        self._spool.close()

    def _leave(self, directory: Path) -> None:
        """Remove a dead process's directory once nothing of it is left."""
        handle = self._orphanages.get(directory)
        if handle is not None and not any(directory.glob("*.*")):
            del self._orphanages[directory]
            release(directory, handle)


def _line_of(batch: OpenBatch) -> Line:
    return line_of(batch.state.key, batch.state.source, batch.file.path.name)


def _left_in(directories: Iterable[Path]) -> list[Waiting]:
    """The batches in the directories of dead processes, in the order in which those would have told them."""
    found = [(place_of(path), path) for directory in directories for path in directory.glob(f"*{BATCH}")]
    found.sort(key=lambda each: each[0].order)
    return [Waiting(path, path.stat().st_blocks * 512, place.line, inherited=True) for place, path in found]
