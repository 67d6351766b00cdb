"""The spool as an outbox: closes batches when it is time, and keeps trying until each is landed and told."""

import asyncio
import errno
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from services.dicom_ingest.adapters.batch_file import BATCH
from services.dicom_ingest.adapters.crash import CrashPoints
from services.dicom_ingest.adapters.farewells import ENDED
from services.dicom_ingest.adapters.spool import OpenBatch, Spool, refusal, release
from services.dicom_ingest.adapters.spooled import DAMAGED, SpooledBatch, adopt, tidy
from services.dicom_ingest.domain.instance import RecordDamaged
from shared.errors import RetryLater
from shared.messaging.threads import in_thread
from shared.observability import logger, metrics

_LOOK, _IDLE_LOOK = 0.05, 0.2
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 15.0
_STUCK_DELAY = 60.0
#: How long a batch waits that the spool's disk has no room for, seconds.
_FULL_DELAY = 1.0
_FULL = {errno.ENOSPC, errno.EDQUOT}
#: How long a landed batch is counted as still needing room to be sealed, seconds.
_SEALING = 300.0
#: A larger batch has the memory for a part of 64 MiB to itself, bytes.
_LARGE = 4 * 1024 * 1024

log = logger("dicom_ingest.outbox")


@dataclass(frozen=True)
class Waiting:
    """A batch file in the queue; an inherited one is verified before it goes on."""

    path: Path
    size: int
    inherited: bool = False


class Outbox:
    """Everything between a committed record and its batch's PubAck."""

    def __init__(
        self, *, spool: Spool, land: Callable[[SpooledBatch], Awaitable[None]], crash: CrashPoints, workers: int
    ) -> None:
        self._spool = spool
        self._land = land
        self._crash = crash
        self._workers = workers
        self._closed: asyncio.Queue[Waiting] = asyncio.Queue()
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
            for path in sorted(directory.glob(f"*{BATCH}")):
                self._enqueue(Waiting(path, path.stat().st_blocks * 512, inherited=True))
            for path in directory.glob(f"*{ENDED}"):
                path.rename(self._spool.directory / path.name)
            self._leave(directory)

    async def run_closing(self) -> None:
        """Close the batches whose time has come, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK if self._spool.open_batches else _IDLE_LOOK)
            await asyncio.gather(*map(self._close, self._spool.take_due()))

    async def run_landing(self) -> None:
        """Land closed batches, until cancelled; a batch that cannot be landed now is tried again and again."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    async def _close(self, batch: OpenBatch) -> None:
        if not batch.file.count:
            await in_thread(batch.file.discard)
            return
        try:
            await in_thread(batch.file.close)
            self._enqueue(Waiting(batch.file.path, batch.file.end))
        except OSError:
            # What is committed stays on the disk; if it never takes more, the next process adopts it.
            log.warning("batch-not-closed", batch_id=batch.batch_id, delay=_FULL_DELAY)
            self._spool.put_back(batch, _FULL_DELAY)

    def _enqueue(self, waiting: Waiting) -> None:
        self._waiting += waiting.size
        self._closed.put_nowait(waiting)

    async def _work(self) -> None:
        while True:
            waiting = await self._closed.get()
            try:
                async with self._large if waiting.size > _LARGE else nullcontext():
                    await self._deliver(waiting)
            except Exception as error:
                # One batch that nobody can land holds up no other; it stays on the disk and is tried again.
                delay = _tell(waiting, error)
                asyncio.get_running_loop().call_later(delay, self._closed.put_nowait, waiting)

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
        """Until store and bus are there again: what one batch waits for, all wait for."""
        delay = _FIRST_DELAY
        while True:
            try:
                await self._land(batch)
            except RetryLater as error:
                log.warning("batch-waits", batch_id=batch.opening.batch_id, reason=error.reason, delay=delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, _LONGEST_DELAY)
            else:
                return

    async def stop(self) -> None:
        """Close what associations left open while they were ended, and let the directory go."""
        for batch in self._spool.take_due(everything=True):
            await self._close(batch)
        self._spool.close()

    def _leave(self, directory: Path) -> None:
        """Remove a dead process's directory once nothing of it is left."""
        handle = self._orphanages.get(directory)
        if handle is not None and not any(directory.glob("*.*")):
            del self._orphanages[directory]
            release(directory, handle)


def _tell(waiting: Waiting, error: Exception) -> float:
    """Say why a batch was not landed; when to try again, seconds from now."""
    if isinstance(error, OSError) and error.errno in _FULL:
        log.warning("batch-waits", batch_id=waiting.path.stem, reason=refusal(error), delay=_FULL_DELAY)
        return _FULL_DELAY
    log.error("batch-stuck", exc_info=error)
    metrics().count("causeway_batches_total", outcome="stuck")
    return _STUCK_DELAY
