"""From a closed batch to what lies in the landing store, when the disk has changed something in between."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

from services.dicom_ingest.adapters.crash import CrashPoints
from services.dicom_ingest.adapters.outbox import Outbox
from services.dicom_ingest.adapters.spool import Spool
from services.dicom_ingest.adapters.spooled import SpooledBatch, is_intact
from services.dicom_ingest.domain.instance import RecordDamaged
from tests.unit.dicom_ingest.test_spool import HEADER, RULES, files, store


class LandingStore:
    """Takes batches as Landing does: all of one, or none of it."""

    def __init__(self) -> None:
        self.landed: list[list[bytes]] = []

    async def land(self, batch: SpooledBatch) -> None:
        if not all(is_intact(batch.read, record) for record in batch.records):
            raise RecordDamaged
        self.landed.append(files(batch))


async def run(spool: Spool, landing: LandingStore) -> None:
    outbox = Outbox(spool=spool, land=landing.land, crash=CrashPoints(), workers=1)
    for batch in spool.take_due(everything=True):
        await outbox._close(batch)
    with suppress(TimeoutError):
        await asyncio.wait_for(outbox.run_landing(), 0.5)


async def open_spool(folder: Path) -> Spool:
    spool = Spool(folder / "spool", RULES, CrashPoints(), time.monotonic)
    await spool.open()
    return spool


async def test_a_landed_batch_leaves_the_spool(tmp_path: Path) -> None:
    spool, landing = await open_spool(tmp_path), LandingStore()
    store(spool, b"one")
    await run(spool, landing)
    assert landing.landed == [[HEADER + b"one"]]
    assert spool.count_files() == 0


async def test_a_record_that_is_damaged_before_it_lands_is_set_aside_and_the_others_go_on(tmp_path: Path) -> None:
    spool, landing = await open_spool(tmp_path), LandingStore()
    for data in (b"one" * 1000, b"two" * 1000):
        store(spool, data)
    (path,) = spool.directory.glob("*.batch")
    with path.open("r+b") as file:
        file.seek(file.read(20_000).index(b"twotwo"))
        file.write(b"X")
    await run(spool, landing)
    assert landing.landed == [[HEADER + b"one" * 1000]]
    assert spool.count_files() == 0
    assert path.with_suffix(".damaged").exists()


async def test_landing_ends_though_it_lost_its_first_cancellation(tmp_path: Path) -> None:
    """As where the bus answers at that moment."""
    spool, landed = await open_spool(tmp_path), asyncio.Event()

    async def land(batch: SpooledBatch) -> None:
        landed.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    store(spool, b"one")
    outbox = Outbox(spool=spool, land=land, crash=CrashPoints(), workers=2)
    for batch in spool.take_due(everything=True):
        await outbox._close(batch)
    work = asyncio.create_task(outbox.run_landing())
    await landed.wait()
    for _ in range(2):
        work.cancel()
        await asyncio.wait([work], timeout=1)
    assert work.cancelled()
