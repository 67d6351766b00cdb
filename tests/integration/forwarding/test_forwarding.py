"""What arrives is passed on: every byte, in order, once, whatever is away meanwhile."""

from collections.abc import Callable

from contracts.events import ForwardDelivered
from tests.integration.forwarding.site import ForwardingSite, StoreScp, dicom_file, expected

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
