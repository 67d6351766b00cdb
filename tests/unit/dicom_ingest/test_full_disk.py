"""A disk that refuses: nothing half-made stays, what was committed is closed later, and room is given back."""

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts.events import AssociationEnded
from services.dicom_ingest.adapters.crash import CrashPoints
from services.dicom_ingest.adapters.farewells import FarewellFiles
from services.dicom_ingest.adapters.holes import punch
from services.dicom_ingest.adapters.outbox import Outbox
from services.dicom_ingest.adapters.receiving import ReceivingFile
from services.dicom_ingest.adapters.spool import LOCK, Spool, release, take_lock
from services.dicom_ingest.adapters.spooled import SpooledBatch
from services.dicom_ingest.ports import SpoolRefused
from tests.unit.dicom_ingest.test_spool import ARRIVAL, HEADER, RULES, STUDY, Clock, files, store, untraced

MIB = 1 << 20


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def spool(tmp_path: Path, clock: Clock) -> Spool:
    """An open spool."""
    made = Spool(tmp_path / "spool", RULES, CrashPoints(), clock)
    await made.open()
    return made


@contextmanager
def full(name: str) -> Iterator[None]:
    """The operating system's call of this name says that the disk is full."""

    def refuse(*_arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, refuse)
        yield


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_batch_that_cannot_be_opened_leaves_neither_a_file_nor_a_handle(spool: Spool) -> None:
    before = open_files()
    for _ in range(3):
        with full("pwritev"), pytest.raises(SpoolRefused, match="spool-enospc"):
            store(spool, b"one")
    assert open_files() == before
    assert spool.count_files() == 0
    assert spool.open_batches == 0


async def test_a_batch_that_cannot_be_closed_is_closed_later(spool: Spool, clock: Clock) -> None:
    outbox = Outbox(spool=spool, land=_nowhere, crash=CrashPoints(), workers=1)
    store(spool, b"one")
    (batch,) = spool.take_due(everything=True)
    with full("fsync"):
        await outbox._close(batch)
    assert {path.suffix for path in spool.directory.iterdir()} == {"", ".batch"}
    assert store(spool, b"two") != batch.batch_id
    assert batch not in spool.take_due()
    clock.now += 1.0
    assert batch in spool.take_due()
    await outbox._close(batch)
    closed = SpooledBatch(batch.file.path)
    assert files(closed) == [HEADER + b"one"]
    closed.release()


async def _nowhere(_batch: object) -> None:
    """A landing store that nothing reaches."""


@pytest.mark.parametrize("call", ["fstat", "fdatasync"])
def test_a_closed_batch_that_cannot_be_finished_keeps_no_handle(spool: Spool, call: str) -> None:
    store(spool, b"one")
    (batch,) = spool.take_due(everything=True)
    batch.file.close()
    before = open_files()
    with full(call), pytest.raises(OSError, match="full"):
        SpooledBatch(batch.file.path)
    assert open_files() == before
    closed = SpooledBatch(batch.file.path)
    assert files(closed) == [HEADER + b"one"]
    closed.release()


def test_a_commit_that_fails_gives_back_the_room_of_its_instance(spool: Spool) -> None:
    store(spool, b"one")
    recording = spool.record(STUDY, ARRIVAL, "a", untraced)
    recording.write(os.urandom(MIB // 2))
    with full("fdatasync"), pytest.raises(SpoolRefused, match="spool-enospc"):
        recording.commit()
    (batch,) = spool.take_due(everything=True)
    assert _blocks(batch.file.path) < MIB // 4
    batch.file.close()
    closed = SpooledBatch(batch.file.path)
    assert files(closed) == [HEADER + b"one"]
    closed.release()


def _blocks(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_a_hole_reads_as_zeros_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * MIB)
    handle = os.open(path, os.O_RDWR)
    punch(handle, 10_000, 1_000_000)
    punch(handle, 5, 5)
    os.close(handle)
    assert path.read_bytes() == b"x" * 10_000 + bytes(990_000) + b"x" * (MIB - 1_000_000)


def test_a_lock_on_a_directory_that_was_removed_meanwhile_is_none(tmp_path: Path) -> None:
    directory = tmp_path / "dead"
    directory.mkdir()
    first = take_lock(directory)
    assert first is not None
    late = os.open(directory / LOCK, os.O_RDWR)
    release(directory, first)
    assert not directory.exists()
    os.close(late)
    assert take_lock(directory) is None


async def test_a_batch_that_cannot_be_finished_for_want_of_room_is_landed_soon(spool: Spool) -> None:
    landed = asyncio.Event()

    async def land(_batch: object) -> None:
        landed.set()

    outbox = Outbox(spool=spool, land=land, crash=CrashPoints(), workers=1)
    store(spool, b"one")
    (batch,) = spool.take_due(everything=True)
    await outbox._close(batch)
    landing = asyncio.create_task(outbox.run_landing())
    with full("pwritev"):
        await asyncio.sleep(0.3)
        assert not landed.is_set()
    await asyncio.wait_for(landed.wait(), 10)
    landing.cancel()


async def test_an_end_of_an_association_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    async def tell(_event: object, _traceparent: str | None) -> None:
        raise AssertionError

    now = datetime.now(UTC)
    ended = AssociationEnded(
        association_id="a", how="released", stored=1, refused=0, batches=(), study_refs=(), started=now, ended=now
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        FarewellFiles(tmp_path, tell).keep(ended, None)
    assert list(tmp_path.iterdir()) == []


class LowRoom:
    """A disk that is low from the n-th look on."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def check(self) -> None:
        self._looks -= 1
        if self._looks < 0:
            raise SpoolRefused("disk-low")

    def brake(self) -> None:
        """Nothing waits."""


def larger(_sop_class: str) -> int:
    """As large as may be."""
    return 1 << 40


META = bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00" + (4).to_bytes(4, "little") + b"meta"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: ReceivingFile(folder, LowRoom(0), larger), "disk-low"),
        (lambda folder: ReceivingFile(folder, LowRoom(1), larger), "disk-low"),
        (lambda folder: ReceivingFile(folder / "missing", LowRoom(9), larger), "spool-enoent"),
    ],
)
def test_a_data_set_that_the_disk_refused_is_heard_to_its_end_and_then_refused(
    tmp_path: Path, make: Callable[[Path], ReceivingFile], reason: str
) -> None:
    file = make(tmp_path)
    for _ in range(20):
        assert file.write(bytes(MIB)) == MIB
        file.file.flush()
    with pytest.raises(SpoolRefused, match=reason):
        next(file.data_set())
    assert list(tmp_path.iterdir()) == []


def test_no_more_is_kept_than_an_instance_of_its_class_may_have(tmp_path: Path) -> None:
    file = ReceivingFile(tmp_path, LowRoom(9), {"1.2.3": 2 * MIB}.__getitem__)
    file.write(META)
    file.holds("1.2.3")
    for _ in range(2):
        file.write(bytes(MIB))
    assert sum(map(len, file.data_set())) == 2 * MIB
    file.holds("1.2.3")
    file.write(bytes(MIB))
    with pytest.raises(SpoolRefused, match="instance-too-large"):
        next(file.data_set())


def test_a_data_set_is_read_behind_its_meta_information_and_has_no_name(tmp_path: Path) -> None:
    file = ReceivingFile(tmp_path, LowRoom(9), larger)
    file.write(META)
    file.write(b"one")
    file.write(b"two")
    assert b"".join(map(bytes, file.data_set())) == b"onetwo"
    assert list(tmp_path.iterdir()) == []
    file.close()
