"""What a source sends of a study is told in the order in which its batches were closed, whatever happens to one."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from services.dicom_ingest.adapters.crash import CrashPoints
from services.dicom_ingest.adapters.outbox import Delays, Outbox
from services.dicom_ingest.adapters.spool import OpenBatch, Spool
from services.dicom_ingest.adapters.spooled import SpooledBatch
from services.dicom_ingest.domain.study_scan import UNKNOWN_STUDY, StudyKey
from shared.errors import RetryLater, Unprocessable
from tests.unit.dicom_ingest.test_full_disk import full
from tests.unit.dicom_ingest.test_spool import (
    ARRIVAL,
    HEADER,
    RULES,
    STUDY,
    abandon_process,
    close_all,
    files,
    store,
    untraced,
)

OTHER = StudyKey("4.5.6")
FAST = Delays(first=0.01, longest=0.02, rests=(0.01, 0.01, 0.01), aside=0.5)


async def until(holds: Callable[[], bool]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.005)


class Telling:
    """Lands batches in no time, but for those that a test has something to say of."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.attempts: list[str] = []
        self.before: dict[str, Callable[[], Awaitable[None]]] = {}

    async def land(self, batch: SpooledBatch) -> None:
        name = files(batch)[0].removeprefix(HEADER).decode()
        self.attempts.append(name)
        if name in self.before:
            await self.before[name]()
        self.told.append(name)

    async def until(self, *names: str) -> None:
        """Return when exactly these were told, in this order."""
        await until(lambda: len(self.told) >= len(names))
        assert self.told == list(names)


@asynccontextmanager
async def landing(spool: Spool, telling: Telling, rests: int = 3) -> AsyncIterator[Outbox]:
    """As the service does it, with what lies in the spool."""
    delays = replace(FAST, rests=FAST.rests[:rests])
    outbox = Outbox(spool=spool, land=telling.land, crash=CrashPoints(), workers=4, delays=delays)
    await outbox.adopt()
    await outbox._close_all(spool.take_due(everything=True))
    work = asyncio.create_task(outbox.run_landing())
    yield outbox
    work.cancel()


@pytest.fixture
async def spool(tmp_path: Path) -> Spool:
    return await a_spool(tmp_path)


async def a_spool(folder: Path) -> Spool:
    """One whose batches hold one instance each."""
    made = Spool(folder / "spool", replace(RULES, max_instances=1, max_open=64), CrashPoints(), time.monotonic)
    await made.open()
    return made


def refuse(error: Exception, times: int = 1_000_000) -> Callable[[], Awaitable[None]]:
    """Raise ``error`` so many times."""
    left = iter(range(times))

    async def raising() -> None:
        if next(left, None) is not None:
            raise error

    return raising


async def test_a_small_batch_waits_for_the_slow_one_before_it_and_other_studies_do_not(spool: Spool) -> None:
    telling, over = Telling(), asyncio.Event()

    async def slow() -> None:
        await over.wait()

    telling.before["first"] = slow
    store(spool, b"first")
    store(spool, b"last")
    store(spool, b"another", key=OTHER)
    async with landing(spool, telling):
        await telling.until("another")
        await until(lambda: "first" in telling.attempts)
        await asyncio.sleep(0.05)
        assert sorted(telling.attempts) == ["another", "first"]
        over.set()
        await telling.until("another", "first", "last")


@pytest.mark.parametrize("error", [RetryLater("bus-away"), OSError("broken"), Unprocessable("refused")])
async def test_a_batch_that_is_tried_again_is_not_overtaken(spool: Spool, error: Exception) -> None:
    telling = Telling()
    telling.before["1"] = refuse(error, 3)
    for name in (b"1", b"2", b"3"):
        store(spool, name)
    async with landing(spool, telling):
        await telling.until("1", "2", "3")
    assert telling.attempts == ["1", "1", "1", "1", "2", "3"]


async def test_what_is_refused_for_good_steps_aside_and_is_tried_on(spool: Spool) -> None:
    telling = Telling()
    telling.before["poison"] = refuse(Unprocessable("event-too-large"), 3)
    store(spool, b"poison")
    store(spool, b"next")
    async with landing(spool, telling, rests=1):
        await telling.until("next", "poison")
    assert telling.attempts[:2] == ["poison"] * 2


async def test_what_store_or_bus_refuse_while_they_take_others_steps_aside(spool: Spool) -> None:
    """While they take nothing, nobody can tell, and everything waits."""
    telling = Telling()
    telling.before["poison"] = refuse(RetryLater("store-refused"))
    store(spool, b"poison")
    store(spool, b"next")
    async with landing(spool, telling, rests=0) as outbox:
        await asyncio.sleep(0.5)
        assert set(telling.attempts) == {"poison"}
        for number in range(1000):
            if "next" in telling.told:
                break
            store(spool, b"%d" % number, key=OTHER)
            await outbox._close_all(spool.take_due(everything=True))
            await asyncio.sleep(0.01)
    assert "next" in telling.told


async def test_a_batch_that_the_disk_has_damaged_does_not_hold_up_the_next(spool: Spool) -> None:
    telling = Telling()
    store(spool, b"one" * 100)
    abandoned = spool.directory
    (path,) = abandoned.glob("*.batch")
    close_all(spool)
    path.with_suffix(".closed").write_bytes(b"nonsense")
    store(spool, b"two")
    close_all(spool)
    abandon_process(spool)
    async with landing(await a_spool(spool.root.parent), telling):
        await telling.until("two")
    assert path.with_suffix(".damaged").exists()


async def test_neither_another_source_nor_a_study_that_is_unknown_waits(spool: Spool) -> None:
    telling = Telling()
    for name in ("first", "unknown 1"):
        telling.before[name] = refuse(RetryLater("bus-away"))
    store(spool, b"first")
    arrival = replace(ARRIVAL, calling_ae="CT2")
    recording = spool.record(STUDY, arrival, "b", untraced)
    recording.write(b"other source")
    recording.commit()
    store(spool, b"unknown 1", key=UNKNOWN_STUDY)
    store(spool, b"unknown 2", key=UNKNOWN_STUDY)
    async with landing(spool, telling):
        await until(lambda: set(telling.told) == {"other source", "unknown 2"})


async def test_a_new_process_goes_on_in_the_order_of_closing(spool: Spool, tmp_path: Path) -> None:
    """Of two dead ones, with a batch that was still open, before what comes now."""
    names = [f"{number}" for number in range(8)]
    second = await a_spool(tmp_path)
    for name in names:
        store(spool if int(name) % 2 else second, name.encode())
        close_all(spool if int(name) % 2 else second)
        await asyncio.sleep(0.01)
    store(spool, b"open")
    abandon_process(spool)
    abandon_process(second)
    heir, telling = await a_spool(tmp_path), Telling()
    telling.before["0"] = refuse(RetryLater("bus-away"), 3)
    store(heir, b"new")
    async with landing(heir, telling):
        await telling.until(*names, "open", "new")
        await until(lambda: heir.count_files() == 0)


async def test_what_the_disk_says_was_closed_in_one_moment_is_in_the_order_of_opening(
    spool: Spool, tmp_path: Path
) -> None:
    names = [f"{number}" for number in range(8)]
    for name in names:
        store(spool, name.encode())
        close_all(spool)
    for path in spool.directory.glob("*.closed"):
        os.utime(path, ns=(1, 1))
    abandon_process(spool)
    telling = Telling()
    async with landing(await a_spool(tmp_path), telling):
        await telling.until(*names)


async def test_batches_of_one_line_that_are_due_together_are_closed_one_behind_the_other(spool: Spool) -> None:
    telling = Telling()
    for name in (b"1", b"2", b"3"):
        store(spool, name)
    slow_to_close(spool._open[0])
    async with landing(spool, telling):
        await telling.until("1", "2", "3")


def slow_to_close(batch: OpenBatch) -> None:
    """The disk takes its time."""
    close = batch.file.close

    def later() -> None:
        time.sleep(0.1)
        close()

    batch.file.close = later  # type: ignore[method-assign]  # closing takes time here


async def test_what_is_behind_a_batch_that_found_no_room_to_be_closed_is_closed_behind_it(spool: Spool) -> None:
    telling = Telling()
    store(spool, b"1")
    outbox = Outbox(spool=spool, land=telling.land, crash=CrashPoints(), workers=4)
    with full("fsync"):
        await outbox._close_all(spool.take_due(everything=True))
    (late,) = spool._open
    spool._open.remove(late)
    store(spool, b"2")
    store(spool, b"other", key=OTHER)
    await outbox._close_all(spool.take_due(everything=True))
    spool._open.insert(0, late)
    await outbox._close_all(spool.take_due(everything=True))
    work = asyncio.create_task(outbox.run_landing())
    await until(lambda: len(telling.told) == 3)
    work.cancel()
    assert [name for name in telling.told if name != "other"] == ["1", "2"]
