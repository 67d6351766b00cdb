"""A full disk: A700 for what does not fit; once there is room all goes on by itself, and nothing is lost."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from cli.dicom_files import Outgoing, examine
from cli.scu import Sender, Status
from services.dicom_ingest.adapters.crash import CrashPoints
from services.dicom_ingest.adapters.spool import Spool
from services.dicom_ingest.adapters.spooled import SpooledBatch
from services.dicom_ingest.domain.batches import BatchRules
from services.dicom_ingest.domain.part10 import file_header
from services.dicom_ingest.domain.records import Arrival
from services.dicom_ingest.domain.study_scan import StudyKey
from services.dicom_ingest.ports import SpoolRefused
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite, write_files
from tests.integration.dicom_ingest.test_stow import multipart, post, reasons
from tests.support.instances import as_file, make_instances, uid
from tests.support.small_disk import MIB, SmallDisk, small_disk

SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
#: Side of an image of half a MiB.
ROWS = 512


@pytest.fixture
def disk(site: IngestSite) -> Iterator[SmallDisk]:
    """The spool's disk."""
    with small_disk(site.spool, 32 * MIB) as mounted:
        yield mounted


def outgoing(folder: Path, count: int, rows: int = ROWS, study: str | None = None) -> list[Outgoing]:
    """New images as files."""
    files = write_files(folder / f"send-{uid()}", map(as_file, make_instances(count, rows=rows, study_uid=study)))
    return [each for each in map(examine, files) if isinstance(each, Outgoing)]


def associate(site: IngestSite, images: list[Outgoing]) -> Sender:
    """An association for these images."""
    pairs = sorted({(each.sop_class, each.transfer_syntax) for each in images})
    return Sender("127.0.0.1", site.port, pairs, "CT1", "CAUSEWAY", 30)


def send(site: IngestSite, images: list[Outgoing]) -> list[Status]:
    """The answers to each, over one association."""
    sender = associate(site, images)
    answers = [sender.store(each) for each in images]
    sender.release()
    return answers


def codes(answers: list[Status]) -> list[int]:
    """Their statuses alone."""
    return [answer.code for answer in answers]


def expected(images: list[Outgoing]) -> Counter[tuple[str, str]]:
    """What these images are: SOP instance UID and digest of the data set."""
    return Counter((each.sop_instance, sha256(each.path.read_bytes()[each.offset :]).hexdigest()) for each in images)


async def landed(site: IngestSite, count: int) -> Counter[tuple[str, str]]:
    """The same of what has landed."""
    return Counter(
        (instance.sop_instance_uid, sha256(batch.dataset(instance)).hexdigest())
        for batch in await site.landed(count)
        for instance in batch.manifest.instances
    )


async def logged(site: IngestSite, event: str) -> None:
    """Return when the service has said so."""
    deadline = asyncio.get_running_loop().time() + 30
    while not site.logged(event):
        assert asyncio.get_running_loop().time() < deadline, site.log()[-2000:]
        await asyncio.sleep(0.05)


def take_landing_away(site: IngestSite) -> None:
    """Nothing lands, so that nothing leaves the spool."""
    (site.folder / "landing").write_text("no folder")


def bring_landing_back(site: IngestSite) -> None:
    """Landing goes on."""
    (site.folder / "landing").unlink()


def open_files(site: IngestSite) -> int:
    """Files that the service holds open."""
    return len(os.listdir(f"/proc/{site.pids[0]}/fd"))


async def close_again(site: IngestSite, most: int) -> None:
    """Return when the service holds no more files open than that: an association ends a moment after its release."""
    deadline = asyncio.get_running_loop().time() + 30
    while (count := open_files(site)) > most:
        assert asyncio.get_running_loop().time() < deadline, f"{count} files are open, {most} are expected at most"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("site", RECEIVERS, indirect=True)
async def test_what_does_not_fit_is_refused_and_taken_when_a_file_is_removed(site: IngestSite, disk: SmallDisk) -> None:
    take_landing_away(site)
    site.start(disk_factor=0)
    disk.fill(leave=5 * MIB)
    images = outgoing(site.folder, 12)
    first = send(site, images)
    assert set(codes(first)) == {SUCCESS, OUT_OF_RESOURCES}
    assert {answer.comment for answer in first if not answer.is_success} == {"spool-enospc"}
    refused = [each for each, answer in zip(images, first, strict=True) if not answer.is_success]
    disk.empty()
    assert codes(send(site, refused)) == [SUCCESS] * len(refused)
    bring_landing_back(site)
    assert await landed(site, 12) == expected(images)
    await site.spool_is_empty()
    assert not site.logged("batch-stuck")


@pytest.mark.parametrize("site", RECEIVERS, indirect=True)
async def test_what_was_refused_is_taken_when_landing_has_drained_the_spool(site: IngestSite, disk: SmallDisk) -> None:
    take_landing_away(site)
    site.start(disk_factor=0)
    disk.fill(leave=5 * MIB)
    images = outgoing(site.folder, 12)
    first = send(site, images)
    refused = [each for each, answer in zip(images, first, strict=True) if not answer.is_success]
    assert 0 < len(refused) < 12
    bring_landing_back(site)
    await site.landed(12 - len(refused))
    await site.spool_is_empty()
    for each in refused:
        assert codes(send(site, [each])) == [SUCCESS]
        await site.spool_is_empty()
    assert await landed(site, 12) == expected(images)


@pytest.mark.parametrize("site", RECEIVERS, indirect=True)
async def test_an_instance_that_fills_the_disk_leaves_nothing_and_the_others_go_on(
    site: IngestSite, disk: SmallDisk
) -> None:
    site.start(disk_factor=0, batch_quiet=5)
    small = outgoing(site.folder, 3, rows=16, study=(study := uid()))
    (large,) = outgoing(site.folder, 1, rows=2100, study=study)
    disk.fill(leave=5 * MIB)
    before = disk.free
    sender = associate(site, small)
    answers = [sender.store(each) for each in (small[0], large, small[1], large, small[2])]
    assert codes(answers) == [SUCCESS, OUT_OF_RESOURCES, SUCCESS, OUT_OF_RESOURCES, SUCCESS]
    assert before - disk.free < MIB
    sender.release()
    assert await landed(site, 3) == expected(small)
    await site.spool_is_empty()
    disk.empty()
    assert codes(send(site, [large])) == [SUCCESS]
    assert await landed(site, 4) == expected([*small, large])


@pytest.mark.parametrize("site", RECEIVERS, indirect=True)
async def test_a_disk_without_any_room_refuses_for_as_long_as_it_lasts(site: IngestSite, disk: SmallDisk) -> None:
    site.start(disk_factor=0)
    images = outgoing(site.folder, 2)
    disk.fill()
    assert set(codes(send(site, images * 5))) == {OUT_OF_RESOURCES}
    before = open_files(site)
    assert set(codes(send(site, images * 20))) == {OUT_OF_RESOURCES}
    await close_again(site, before + 2)
    assert list(site.spool.glob("*/*.batch")) == []
    disk.empty()
    assert codes(send(site, images)) == [SUCCESS, SUCCESS]
    assert await landed(site, 2) == expected(images)


async def test_a_batch_that_the_disk_has_no_room_to_close_is_closed_when_it_has(
    site: IngestSite, disk: SmallDisk
) -> None:
    site.start(disk_factor=0, batch_quiet=2, batch_quiet_after_end=2)
    images = outgoing(site.folder, 2)
    assert codes(send(site, images)) == [SUCCESS, SUCCESS]
    disk.fill()
    await logged(site, "batch-not-closed")
    disk.empty()
    assert await landed(site, 2) == expected(images)
    await site.spool_is_empty()


async def test_a_part_over_http_that_does_not_fit_is_refused_with_507_and_taken_later(
    site: IngestSite, disk: SmallDisk
) -> None:
    site.start(disk_factor=0)
    large, small = (outgoing(site.folder, 1, rows=rows)[0] for rows in (2100, 16))
    disk.fill(leave=5 * MIB)
    both = post(site, multipart(large.path.read_bytes(), small.path.read_bytes()))
    assert (both.status_code, reasons(both)) == (202, [OUT_OF_RESOURCES])
    assert post(site, multipart(large.path.read_bytes())).status_code == 507
    disk.empty()
    assert post(site, multipart(large.path.read_bytes())).status_code == 200
    assert await landed(site, 2) == expected([large, small])


@pytest.mark.parametrize("site", RECEIVERS, indirect=True)
async def test_the_reserve_is_kept_and_the_service_recovers_alone(site: IngestSite, disk: SmallDisk) -> None:
    take_landing_away(site)
    site.start(disk_reserve=16 * MIB, disk_factor=1)
    images = outgoing(site.folder, 40)
    answers = []
    for each in images:
        answers += send(site, [each])
        await asyncio.sleep(0.05)
    assert set(codes(answers)) == {SUCCESS, OUT_OF_RESOURCES}
    assert {answer.comment for answer in answers if not answer.is_success} == {"disk-low"}
    refused = [each for each, answer in zip(images, answers, strict=True) if not answer.is_success]
    # A quarter of a second may pass between two looks at the disk.
    assert disk.free > 14 * MIB
    bring_landing_back(site)
    assert await landed(site, 40 - len(refused)) == expected([each for each in images if each not in refused])


async def test_a_full_landing_store_stops_no_c_store_and_lands_when_there_is_room(site: IngestSite) -> None:
    with small_disk(site.folder / "landing", 8 * MIB) as landing:
        landing.fill(leave=256 * 1024)
        site.start(disk_factor=0)
        images = outgoing(site.folder, 6)
        assert codes(send(site, images)) == [SUCCESS] * 6
        await logged(site, "batch-waits")
        assert {line["reason"] for line in site.logged("batch-waits")} == {"store-full"}
        assert list((site.folder / "landing" / ".staging").iterdir()) == []
        landing.empty()
        assert await landed(site, 6) == expected(images)
        await site.spool_is_empty()
        site.process.kill()


RULES = BatchRules(max_bytes=64 * MIB, max_instances=100, quiet=1.0, quiet_after_end=1.0, max_open=4)
HEADER = file_header("1.2", "1.2.3", "1.2.840.10008.1.2")


async def test_a_disk_that_is_full_when_an_instance_is_committed_forgets_only_that_one(tmp_path: Path) -> None:
    """The bytes fit, the commit in the journal does not."""
    from datetime import UTC, datetime

    arrival = Arrival("1.2", "1.2.3", "1.2.840.10008.1.2", len(HEADER), datetime.now(UTC), "CT1", "CW", "10.0.0.1")
    with small_disk(tmp_path / "disk", 4 * MIB) as disk:
        spool = Spool(disk.path / "spool", RULES, CrashPoints(), lambda: 0.0)
        await spool.open()
        taken = []
        while True:
            recording = spool.record(StudyKey("1.2.3"), arrival, "visitor", lambda: None)
            recording.write(data := os.urandom(20_000))
            disk.fill()
            try:
                recording.commit()
            except SpoolRefused:
                break
            finally:
                disk.empty()
            taken.append(HEADER + data)
        assert len(taken) > 1
        (batch,) = spool.take_due(everything=True)
        batch.file.close()
        closed = SpooledBatch(batch.file.path)
        assert [closed.read(record.offset, record.length) for record in closed.records] == taken
        closed.release()
        spool.close()
