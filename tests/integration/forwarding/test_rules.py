"""Each destination gets what its rules name, and nothing else, whoever sent it."""

from collections.abc import Callable

from contracts.events import ForwardDelivered
from contracts.formats.manifest import Source
from tests.integration.forwarding.site import File, ForwardingSite, StoreScp, dicom_file, eventually, expected

Make = Callable[..., StoreScp]


async def test_rules_by_source_and_modality_part_what_arrives(site: ForwardingSite, storescp: Make) -> None:
    """A batch in which a destination wants nothing is settled for it without a word."""
    everything, of_ct1, of_mr, mr_of_ct2 = map(storescp, ("all", "ct1", "mr", "mr-ct2"))
    site.destinations(
        all={"port": everything.port},
        ct1={"port": of_ct1.port, "match": [{"source_ae": "CT1"}]},
        mr={"port": of_mr.port, "match": [{"modality": ["MR", "PT"]}]},
        both={"port": mr_of_ct2.port, "match": [{"source_ae": ["CT2", "CT3"], "modality": "MR"}]},
    )
    ct, mr = [dicom_file(number) for number in range(4)], [of("MR", number) for number in range(10, 14)]
    async with site.running():
        await site.store([ct[0], mr[0]], Source(calling_ae="CT1"))
        await site.store([ct[1], mr[1]], Source(calling_ae="CT2"))
        await site.store([ct[2], mr[2]], Source(calling_ae="MR1"))
        await site.store([ct[3], mr[3]])
        told = await site.until(ForwardDelivered, 4 + 1 + 4 + 1)
        for name in site.names:
            await eventually(lambda name=name: is_idle(site, name))
    assert everything.data_sets() == expected([*ct, *mr])
    assert of_ct1.data_sets() == expected([ct[0], mr[0]])
    assert of_mr.data_sets() == expected(mr)
    assert mr_of_ct2.data_sets() == expected([mr[1]])
    assert len(told) == 10 and await site.dead_letters() == 0


def of(modality: str, number: int) -> File:
    """A file that ingest found to be of this modality."""
    file, instance = dicom_file(number)
    return file, instance.model_copy(update={"routing": instance.routing.model_copy(update={"modality": modality})})


async def is_idle(site: ForwardingSite, name: str) -> bool:
    """Whether nothing waits."""
    return bool((await site.row(name))["backlog"] == 0)
