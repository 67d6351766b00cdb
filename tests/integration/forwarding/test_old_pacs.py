"""Orthanc as the old PACS behind forwarding: it gets everything once, as it was sent, however long both were away."""

import asyncio
import re
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from cli.destinations import row_of
from contracts.events import ForwardDelivered, ForwardFailed
from tests.integration.forwarding.orthanc import Orthanc
from tests.integration.forwarding.site import (
    File,
    ForwardingSite,
    StoreScp,
    dicom_file,
    eventually,
    expected,
    landed,
)
from tests.support.ports import free_ports

#: Two hours, and the pauses of the shipped settings with them, a thousand times as fast.
SCALE = 1000
ABSENCE = 2 * 3600 / SCALE
PAUSES = {"breaker_first": 1.0 / SCALE, "breaker_longest": 60.0 / SCALE}
#: Files that come with pydicom, of a kind each: explicit and implicit, big-endian, several frames, JPEG, RLE, a report.
KINDS = [
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "GDCMJ2K_TextGBR.dcm",
    "test-SR.dcm",
]


def kinds() -> list[File]:
    """One instance of each kind, of a private SOP class one more, all with UIDs of their own."""
    files = [renamed(name, number) for number, name in enumerate(KINDS)]
    return [*files, renamed("CT_small.dcm", len(files), "1.2.826.0.1.3680043.8.498.77")]


def renamed(name: str, number: int, sop_class: str | None = None) -> File:
    """A file that comes with pydicom as another instance; values keep their lengths."""
    path = str(get_testdata_file(name))
    meta = pydicom.dcmread(path, stop_before_pixels=True)
    data = Path(path).read_bytes()
    names = {meta.SOPInstanceUID: generate_uid(entropy_srcs=[name, str(number)])}
    if sop_class:
        names[meta.SOPClassUID] = sop_class
    for old, new in names.items():
        data = replaced(data, str(old), new)
    return landed(data)


def replaced(data: bytes, old: str, new: str) -> bytes:
    """The file with another UID in its File Meta Information and its data set: no group has a length but group 2."""
    with BytesIO() as file:
        found = pydicom.dcmread(BytesIO(data))
        if found.file_meta.MediaStorageSOPInstanceUID == old:
            found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = new
        else:
            found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = new
        found.save_as(file)
        return file.getvalue()


async def delivered(site: ForwardingSite, batches: int, within: float = 60) -> list[ForwardDelivered]:
    """What was told of the old PACS, once it has so many batches."""

    async def look() -> bool:
        return len(await about(site)) >= batches

    await eventually(look, within)
    return await about(site)


async def about(site: ForwardingSite) -> list[ForwardDelivered]:
    return [one for one in await site.told(ForwardDelivered) if one.destination == "old"]


async def held(orthanc: Orthanc) -> list[bytes]:
    """The data sets that it holds, sorted."""
    files = [landed(file) for file in (await orthanc.files()).values()]
    return sorted(data[one.dataset_offset :] for data, one in files)


def sent(files: list[File]) -> list[bytes]:
    """The data sets that were sent, sorted."""
    return sorted(data[one.dataset_offset :] for data, one in files)


async def test_after_two_hours_of_its_absence_and_ours_it_holds_everything_once(
    site: ForwardingSite, orthanc: Orthanc
) -> None:
    """Both are killed within a batch; we come back without it, are killed once more, and come back with it."""
    site.destinations(old={"port": orthanc.port, "timeout": 20})
    await site.provision(ack_wait=1)
    files = [dicom_file(number, size=200_000) for number in range(60)]
    await site.store(files)
    process = site.process(**PAUSES)
    await eventually(lambda: has(orthanc, 15))
    orthanc.server.kill()
    process.kill()

    backlog = [[dicom_file(1000 + 10 * batch + number) for number in range(3)] for batch in range(20)] + [kinds()]
    for batch in backlog[:10]:
        await site.store(batch)
    process = site.process(**PAUSES)
    await asyncio.sleep(ABSENCE)
    for batch in backlog[10:]:
        await site.store(batch)
    away = await site.row("old")
    process.kill()

    orthanc.server.start()
    process = site.process(**PAUSES)
    await delivered(site, 1 + len(backlog))
    back = await site.row("old")
    process.stop()
    every = [*files, *(one for batch in backlog for one in batch)]
    assert (away["away"], away["backlog"]) == ("not-reachable", 1 + len(backlog))
    assert away["age"] >= away["away_for"] > 0.5 * ABSENCE
    assert (back["away"], back["backlog"], back["delivered"], back["failed"]) == (None, 0, len(every), 0)
    arrivals = await orthanc.arrivals()
    assert len(set(arrivals)) == len(arrivals) == await orthanc.count() == len(every)
    assert await held(orthanc) == sent(every)
    assert await site.dead_letters() == 0


async def test_beside_a_dead_destination_it_gets_all_that_it_missed(site: ForwardingSite, orthanc: Orthanc) -> None:
    """Before and after a restart of ours; the other one's queue stands whole, and `causeway status` says so."""
    site.destinations(old={"port": orthanc.port, "timeout": 20}, dead={"port": free_ports(1)[0]})
    orthanc.server.kill()
    batches = [[dicom_file(10 * batch + number) for number in range(3)] for batch in range(4)]
    for some in (batches[:2], batches[2:]):
        async with site.running(**PAUSES):
            for batch in some:
                await site.store(batch)
            await eventually(lambda: is_away(site, "old"))
            await eventually(lambda: is_away(site, "dead"))
    async with site.running(**PAUSES):
        orthanc.server.start()
        await delivered(site, len(batches))
        old, dead = await site.row("old"), await site.row("dead")
    assert (old["away"], old["backlog"], old["delivered"]) == (None, 0, 12)
    assert (dead["away"], dead["backlog"], dead["delivered"], dead["failed"]) == ("not-reachable", 4, 0, 0)
    assert await held(orthanc) == sent([one for batch in batches for one in batch])
    assert re.fullmatch(r"dead 4 \d+ s 0 0 away: not-reachable for \d+ s", " ".join(map(str, row_of(dead))))


async def is_away(site: ForwardingSite, name: str) -> bool:
    """Whether a destination is known to be away, and something waits for it."""
    row = await site.row(name)
    return row["away"] == "not-reachable" and row["backlog"] > 0


async def has(orthanc: Orthanc, count: int) -> bool:
    """Whether it holds so many instances."""
    return await orthanc.count() >= count


async def test_what_comes_twice_it_holds_once(site: ForwardingSite, orthanc: Orthanc) -> None:
    """Two batches, the second of which repeats an instance of the first."""
    site.destinations(old={"port": orthanc.port, "timeout": 20})
    files = [dicom_file(number, size=50_000) for number in range(6)]
    async with site.running():
        await site.store(files[:4])
        await site.store([files[0], *files[4:]])
        await delivered(site, 2)
    assert len(await orthanc.arrivals()) == 6
    assert await held(orthanc) == sent(files)


@pytest.mark.dcmtk
async def test_what_it_cannot_bear_holds_up_neither_it_nor_another(
    site: ForwardingSite, orthanc: Orthanc, storescp: type[StoreScp]
) -> None:
    """A deflated data set of odd length, at which dcmtk gives up without an answer each time."""
    pacs = storescp("pacs", None, "+x=")
    site.destinations(old={"port": orthanc.port, "timeout": 1}, pacs={"port": pacs.port})
    odd = landed(Path(str(get_testdata_file("image_dfl.dcm"))).read_bytes())
    files = [dicom_file(0), odd, dicom_file(1)]
    async with site.running(**PAUSES):
        await site.store(files)
        await site.store([dicom_file(2)])
        await delivered(site, 2)
        failed = {one.destination: one.undelivered for one in await site.until(ForwardFailed, 2)}
    assert [one.reason for one in failed["old"]] == ["no-answer"]
    assert [one.reason for one in failed["pacs"]] == ["transfer-syntax-refused"]
    whole = [dicom_file(0), dicom_file(1), dicom_file(2)]
    assert len(await held(orthanc)) == len(whole)
    assert pacs.data_sets().keys() == expected(whole).keys()
