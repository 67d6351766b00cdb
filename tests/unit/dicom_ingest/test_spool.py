"""The spool on a real disk: what was committed is there, what was not is not, whatever happened."""

import os
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import pytest

from services.dicom_ingest.adapters.crash import CrashPoints
from services.dicom_ingest.adapters.spool import Spool, release
from services.dicom_ingest.adapters.spooled import SpooledBatch, adopt, tidy
from services.dicom_ingest.domain.batches import BatchRules
from services.dicom_ingest.domain.part10 import file_header
from services.dicom_ingest.domain.records import JOURNAL_AT, Arrival
from services.dicom_ingest.domain.study_scan import UNKNOWN_STUDY, StudyKey
from services.dicom_ingest.ports import SpoolRefused

RULES = BatchRules(max_bytes=1 << 20, max_instances=3, quiet=1.0, quiet_after_end=0.25, max_open=4)
STUDY = StudyKey("1.2.3")
HEADER = file_header("1.2", "1.2.3", "1.2.840.10008.1.2")
ARRIVAL = Arrival("1.2", "1.2.3", "1.2.840.10008.1.2", len(HEADER), datetime.now(UTC), "CT1", "CW", "10.0.0.1")


class Clock:
    """A time that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def untraced() -> None:
    """A batch that nobody traces."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def spool(tmp_path: Path, clock: Clock) -> Spool:
    """An open spool."""
    made = Spool(tmp_path / "spool", RULES, CrashPoints(), clock)
    await made.open()
    return made


def store(spool: Spool, *chunks: bytes, key: StudyKey = STUDY, visitor: str = "a") -> str:
    """Commit one instance; the id of its batch."""
    recording = spool.record(key, ARRIVAL, visitor, untraced)
    recording.write(*chunks)
    recording.commit()
    return recording.batch_id


def close_all(spool: Spool) -> list[SpooledBatch]:
    """Close every batch, as if its time had come."""
    closed = []
    for batch in spool.take_due(everything=True):
        if batch.file.count:
            batch.file.close()
            closed.append(SpooledBatch(batch.file.path))
    return closed


def files(batch: SpooledBatch) -> list[bytes]:
    """The Part 10 files in a batch."""
    return [batch.read(record.offset, record.length) for record in batch.records]


def abandon_process(spool: Spool) -> None:
    """What the kernel does when a process is killed: the lock is gone, the files stay as they are."""
    assert spool._held is not None
    os.close(spool._held)


def heirs(tmp_path: Path, clock: Clock) -> Iterator[Path]:
    """The batches that a new process finds."""
    heir = Spool(tmp_path / "spool", RULES, CrashPoints(), clock)
    heir.directory.mkdir()
    for directory, handle in heir.orphans():
        yield from sorted(directory.glob("*.batch"))
        release(directory, handle)


async def test_instances_of_a_study_share_a_batch_in_their_order(spool: Spool) -> None:
    assert store(spool, b"one") == store(spool, b"t", b"wo")
    (batch,) = close_all(spool)
    assert files(batch) == [HEADER + b"one", HEADER + b"two"]
    assert [record.crc32 for record in batch.records] == list(map(crc32, files(batch)))


async def test_two_at_a_time_of_one_study_are_written_side_by_side(spool: Spool) -> None:
    first, second = (spool.record(STUDY, ARRIVAL, "a", untraced) for _ in range(2))
    assert first.batch_id != second.batch_id
    first.write(b"one")
    second.write(b"two")
    second.commit()
    first.commit()
    assert store(spool, b"three") in (first.batch_id, second.batch_id)
    assert sorted(data for batch in close_all(spool) for data in files(batch)) == sorted(
        HEADER + each for each in (b"one", b"two", b"three")
    )


async def test_the_closed_file_is_the_archive_that_its_manifest_describes(spool: Spool) -> None:
    for data in (b"one", b"two" * 50_000, b""):
        store(spool, data)
    (batch,) = close_all(spool)
    assert batch.archive == batch.path
    with zipfile.ZipFile(batch.path) as archive:
        assert archive.testzip() is None
        assert [archive.read(name) for name in archive.namelist()] == files(batch)
    assert batch.path.stat().st_size == batch.size


async def test_an_abandoned_instance_leaves_nothing(spool: Spool) -> None:
    store(spool, b"one")
    abandoned = spool.record(STUDY, ARRIVAL, "a", untraced)
    abandoned.write(b"gone" * 1000)
    abandoned.abandon()
    store(spool, b"two")
    (batch,) = close_all(spool)
    assert files(batch) == [HEADER + b"one", HEADER + b"two"]


async def test_an_instance_that_outgrows_a_batch_goes_on_in_one_of_its_own(spool: Spool) -> None:
    shared = store(spool, b"small")
    big = spool.record(STUDY, ARRIVAL, "a", untraced)
    for _ in range(5):
        big.write(bytes(300_000))
    big.commit()
    assert big.batch_id != shared
    by_id = {batch.opening.batch_id: files(batch) for batch in close_all(spool)}
    assert by_id == {shared: [HEADER + b"small"], big.batch_id: [HEADER + bytes(1_500_000)]}


async def test_an_instance_of_unknown_study_is_alone(spool: Spool) -> None:
    assert store(spool, b"one", key=UNKNOWN_STUDY) != store(spool, b"two", key=UNKNOWN_STUDY)


async def test_a_full_batch_is_followed_by_another(spool: Spool) -> None:
    assert len({store(spool, b"x") for _ in range(4)}) == 2


async def test_a_batch_is_due_after_quiet_and_sooner_after_the_association(spool: Spool, clock: Clock) -> None:
    store(spool, b"one")
    clock.now = 0.5
    assert spool.take_due() == []
    spool.visitor_left("a")
    assert spool.take_due() == []
    clock.now = 0.8
    assert len(spool.take_due()) == 1


async def test_another_association_keeps_the_batch_open(spool: Spool, clock: Clock) -> None:
    batch = store(spool, b"one", visitor="a")
    spool.visitor_left("a")
    clock.now = 0.2
    assert store(spool, b"two", visitor="b") == batch
    clock.now = 0.6
    assert spool.take_due() == []
    clock.now = 1.3
    assert len(spool.take_due()) == 1


async def test_no_more_batches_are_open_than_allowed(spool: Spool) -> None:
    for number in range(9):
        store(spool, b"x", key=StudyKey(f"1.2.{number}"))
    assert len(spool.take_due()) == 5
    assert spool.open_batches == 4


async def test_a_living_process_is_no_orphan(spool: Spool, tmp_path: Path, clock: Clock) -> None:
    store(spool, b"one")
    assert list(heirs(tmp_path, clock)) == []


async def test_what_a_dead_process_committed_is_adopted_and_what_it_did_not_is_not(
    spool: Spool, tmp_path: Path, clock: Clock
) -> None:
    store(spool, b"one")
    unfinished = spool.record(STUDY, ARRIVAL, "a", untraced)
    unfinished.write(b"never committed")
    abandon_process(spool)
    (path,) = heirs(tmp_path, clock)
    batch = adopt(path)
    assert batch is not None
    assert files(batch) == [HEADER + b"one"]
    assert files(SpooledBatch(path)) == [HEADER + b"one"]


async def test_a_last_record_that_the_disk_took_only_half_of_is_dropped(
    spool: Spool, tmp_path: Path, clock: Clock
) -> None:
    store(spool, b"one" * 10_000)
    store(spool, b"two" * 10_000)
    abandon_process(spool)
    (path,) = heirs(tmp_path, clock)
    with path.open("r+b") as file:
        file.seek(40_000)
        file.write(bytes(4100))
    batch = adopt(path)
    assert batch is not None
    assert files(batch) == [HEADER + b"one" * 10_000]


async def test_an_acknowledged_record_that_is_damaged_is_kept_for_a_person_and_the_others_go_on(
    spool: Spool, tmp_path: Path, clock: Clock
) -> None:
    for data in (b"one" * 1000, b"two" * 1000, b"six" * 1000):
        store(spool, data)
    abandon_process(spool)
    (path,) = heirs(tmp_path, clock)
    with path.open("r+b") as file:
        file.seek(file.read(20_000).index(b"twotwo"))
        file.write(b"X")
    batch = adopt(path)
    assert batch is not None
    assert files(batch) == [HEADER + b"one" * 1000, HEADER + b"six" * 1000]
    assert batch.archive is None
    batch.remove()
    assert not path.exists()
    assert path.with_suffix(".damaged").exists()


async def test_a_batch_that_died_between_closing_and_landing_is_the_same_archive(
    spool: Spool, tmp_path: Path, clock: Clock
) -> None:
    store(spool, b"one")
    store(spool, b"two")
    (batch,) = close_all(spool)
    content = batch.path.read_bytes()
    abandon_process(spool)
    (path,) = heirs(tmp_path, clock)
    again = adopt(path)
    assert again is not None and again.archive is not None
    assert again.records == batch.records
    assert path.read_bytes() == content


async def test_a_batch_without_a_record_is_removed_when_adopted(spool: Spool, tmp_path: Path, clock: Clock) -> None:
    spool.record(STUDY, ARRIVAL, "a", untraced).write(b"never committed")
    abandon_process(spool)
    (path,) = heirs(tmp_path, clock)
    assert adopt(path) is None
    assert not path.exists()
    assert list((tmp_path / "spool").glob("*/*.batch")) == []


@pytest.mark.parametrize("damaged", [".batch", ".closed"])
async def test_a_batch_whose_journal_cannot_be_read_is_kept_for_a_person(
    spool: Spool, tmp_path: Path, clock: Clock, damaged: str
) -> None:
    store(spool, b"acknowledged" * 1000)
    if damaged == ".closed":
        close_all(spool)
    abandon_process(spool)
    (path,) = heirs(tmp_path, clock)
    with path.with_suffix(damaged).open("r+b") as file:
        file.seek(0 if damaged == ".closed" else JOURNAL_AT)
        file.write(b"XXXX")
    assert adopt(path) is None
    assert not path.exists()
    with path.with_suffix(".damaged").open("rb") as kept:
        assert b"acknowledged" * 1000 in kept.read(20_000)


async def test_what_a_dead_process_was_still_receiving_is_removed(spool: Spool) -> None:
    store(spool, b"acknowledged")
    (spool.directory / "tmpx.dcm").write_bytes(b"half a data set, in plain")
    tidy(spool.directory)
    assert not list(spool.directory.glob("*.dcm"))
    assert spool.count_files() == 1


async def test_the_batches_of_one_study_are_counted_wherever_they_are(spool: Spool) -> None:
    store(spool, b"mine")
    store(spool, b"other", key=StudyKey("9.9"))
    closed = {batch.opening.study_uid for batch in close_all(spool)}
    store(spool, b"mine again")
    store(spool, b"whose?", key=UNKNOWN_STUDY)
    assert closed == {"1.2.3", "9.9"}
    counts = [spool.count_files(uid) for uid in (None, "1.2.3", "9.9", "8")]
    assert counts == [4, 3, 2, 1]


async def test_a_disk_that_refuses_is_told_and_leaves_what_was_committed(spool: Spool, tmp_path: Path) -> None:
    store(spool, b"one")
    refused = spool.record(STUDY, ARRIVAL, "a", untraced)
    os.close(refused._batch.file._handle)  # any write fails from here on
    with pytest.raises(SpoolRefused, match="spool-ebadf"):
        refused.write(b"two")
    refused.abandon()
    abandon_process(spool)
    (path,) = (tmp_path / "spool").glob("*/*.batch")
    batch = adopt(path)
    assert batch is not None and files(batch) == [HEADER + b"one"]
    assert store(spool, b"three") != refused.batch_id


async def test_a_spool_whose_directory_is_taken_away_is_not_ready(spool: Spool) -> None:
    await spool.check()
    (spool.directory / "lock").unlink()
    with pytest.raises(SpoolRefused, match="spool-not-locked"):
        await spool.check()
