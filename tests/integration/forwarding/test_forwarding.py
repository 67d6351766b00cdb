"""What arrives is passed on: every byte, in order, once, whatever is away meanwhile."""

from collections.abc import Callable
from pathlib import Path

from pydicom.data import get_testdata_file

from contracts.events import ForwardDelivered, ForwardFailed
from services.forwarding.handlers.recording import AT_ONCE
from tests.integration.forwarding.site import (
    ForwardingSite,
    StoreScp,
    dicom_file,
    eventually,
    expected,
    flip,
    landed,
    settle,
)
from tests.support.ports import free_ports

Make = Callable[..., StoreScp]


async def test_a_pacs_has_every_data_set_byte_for_byte(site: ForwardingSite, storescp: Make) -> None:
    """Of any length: the last one takes many PDUs of storescp's 16 kB."""
    pacs = storescp()
    site.destinations(pacs={"port": pacs.port})
    files = [*map(dicom_file, range(5)), dicom_file(5, size=3_000_001)]
    async with site.running():
        await site.store(files)
        (told,) = await site.until(ForwardDelivered, 1)
        row = await site.row("pacs")
    assert (told.destination, told.instances, told.warnings, told.run) == ("pacs", 6, 0, 0)
    assert pacs.data_sets() == expected(files)
    assert (row["delivered"], row["failed"], row["backlog"], row["age"]) == (6, 0, 0, None)
    assert await site.dead_letters() == 0


async def test_what_a_destination_missed_it_gets_once_and_in_order(site: ForwardingSite, storescp: Make) -> None:
    """It is away before the first batch and again between two of them; nothing is given up."""
    (port,) = free_ports(1)
    site.destinations(pacs={"port": port})
    batches = [[dicom_file(10 * batch + number) for number in range(3)] for batch in range(3)]
    async with site.running():
        await site.store(batches[0])
        await eventually(lambda: away(site, "not-reachable"))
        pacs = storescp("pacs", port)
        await site.until(ForwardDelivered, 1)
        pacs.server.kill()
        await site.store(batches[1])
        await site.store(batches[2])
        await eventually(lambda: away(site, "not-reachable"))
        pacs.server.start()
        await site.until(ForwardDelivered, 3)
        row = await site.row("pacs")
    files = [file for batch in batches for file in batch]
    assert pacs.arrived() == [one.sop_instance_uid for _, one in files]
    assert pacs.data_sets() == expected(files)
    assert (row["away"], row["backlog"], await site.dead_letters()) == (None, 0, 0)


async def away(site: ForwardingSite, reason: str, name: str = "pacs") -> bool:
    """Whether a destination is known to be away, and its batch to wait."""
    row = await site.row(name)
    return row["away"] == reason and row["backlog"] > 0 and row["age"] >= 0


async def test_a_dead_destination_holds_up_no_other(site: ForwardingSite, storescp: Make) -> None:
    """Nor does one that accepts connections and never says a word."""
    pacs, frozen = storescp("pacs"), storescp("frozen")
    site.destinations(dead={"port": free_ports(1)[0]}, pacs={"port": pacs.port}, frozen={"port": frozen.port})
    frozen.server.freeze()
    files = [dicom_file(number) for number in range(4)]
    async with site.running():
        for file in files:
            await site.store([file])
        told = await site.until(ForwardDelivered, 4)
        rows = {name: await site.row(name) for name in ("dead", "pacs", "frozen")}
    assert {one.destination for one in told} == {"pacs"}
    assert pacs.data_sets() == expected(files)
    assert {name: row["backlog"] for name, row in rows.items()} == {"dead": 4, "pacs": 0, "frozen": 4}


async def test_a_killed_service_goes_on_where_it_was(site: ForwardingSite, storescp: Make) -> None:
    """A second transfer of what was answered in the last moment is possible, of more it is not."""
    pacs = storescp("pacs", None, "-v")
    site.destinations(pacs={"port": pacs.port})
    await site.provision(ack_wait=1)
    files = [dicom_file(number, size=200_000) for number in range(60)]
    await site.store(files)
    process = site.process()
    await eventually(lambda: len(pacs.arrived()) >= 15)
    process.kill()
    before = len(pacs.arrived())
    again = site.process()
    await site.until(ForwardDelivered, 1)
    again.stop()
    assert before < len(files), "it was killed too late"
    assert pacs.data_sets() == expected(files)
    transfers = pacs.log().count("Received Store Request")
    assert len(files) <= transfers <= len(files) + 2 * AT_ONCE + 1


async def test_a_held_destination_waits_until_it_is_released(site: ForwardingSite, storescp: Make) -> None:
    """By the file or by an operator, whose word outlives the process."""
    pacs = storescp()
    site.destinations(pacs={"port": pacs.port, "held": True})
    files = [dicom_file(number) for number in range(3)]
    async with site.running():
        await site.store(files[:1])
        await eventually(lambda: waits(site, 1))
        await settle()
        assert pacs.arrived() == []
        assert await site.ask("/pacs/release", post=True) == {"held": False}
        await site.until(ForwardDelivered, 1)
        await site.ask("/pacs/hold", post=True)
        await site.store(files[1:])
        await eventually(lambda: waits(site, 1))
    async with site.running():
        await settle()
        assert len(pacs.arrived()) == 1
        await site.ask("/pacs/release", post=True)
        await site.until(ForwardDelivered, 2)
    assert pacs.data_sets() == expected(files)


async def waits(site: ForwardingSite, backlog: int) -> bool:
    """Whether so many batches wait, with the oldest of a known age."""
    row = await site.row("pacs")
    return row["held"] and row["backlog"] == backlog and row["age"] is not None


async def test_what_is_refused_is_told_and_tried_again_when_asked(site: ForwardingSite, storescp: Make) -> None:
    """A receiver of Implicit VR alone takes nothing that is compressed; another one in its place takes all."""
    picky = storescp("picky", None, "+xi")
    site.destinations(pacs={"port": picky.port})
    names = ("SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_rle_2frame.dcm")
    files = [landed(Path(str(get_testdata_file(name))).read_bytes()) for name in names]
    async with site.running():
        await site.store(files)
        (failed,) = await site.until(ForwardFailed, 1)
        listed = await site.ask("/pacs/failures")
        picky.server.kill()
        pacs = storescp("pacs", picky.port)
        assert await site.ask("/pacs/retry", post=True) == {"instances": 2}
        (told,) = await site.until(ForwardDelivered, 1)
        row = await site.row("pacs")
    assert {one.reason for one in failed.undelivered} == {"transfer-syntax-refused"}
    assert {one["sop_instance_uid"] for one in listed["failures"]} == {one.sop_instance_uid for _, one in files}
    assert (told.run, told.instances, row["failed"], row["delivered"]) == (1, 2, 0, 2)
    assert pacs.data_sets() == expected(files)


async def test_damaged_bytes_never_arrive(site: ForwardingSite, storescp: Make) -> None:
    """One flipped bit in the landing archive: that instance fails, its neighbours arrive."""
    pacs = storescp()
    site.destinations(pacs={"port": pacs.port, "held": True})
    files = [dicom_file(number, size=400_000) for number in range(3)]
    async with site.running():
        event = await site.store(files)
        flip(site.folder / "landing" / event.batch.archive.key / "0001", 600_000)
        await site.ask("/pacs/release", post=True)
        (failed,) = await site.until(ForwardFailed, 1)
    assert [one.reason for one in failed.undelivered] == ["input-damaged"]
    assert pacs.data_sets() == expected([files[0], files[2]])
