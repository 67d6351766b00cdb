"""After the landing archive is released the bytes come out of a sealed copy."""

from collections.abc import Callable

from contracts.events import BatchArchived, CopyVerified, ForwardDelivered, ProvenCopy
from tests.integration.copies.site import Site
from tests.integration.forwarding.site import ForwardingSite, StoreScp, dicom_file, eventually, expected
from tests.support.packs import copies, planned


async def test_what_was_released_meanwhile_is_read_from_a_proven_copy(
    site: ForwardingSite, storescp: Callable[..., StoreScp]
) -> None:
    """A destination that was held while its batch was sealed, proven, archived and its plain bytes removed."""
    pacs = storescp()
    site.destinations(pacs={"port": pacs.port, "held": True})
    sealing = Site(site.folder, site.nats)
    files = [dicom_file(number, size=300_000) for number in range(3)]
    await site.provision()
    event = await site.store(files)
    async with sealing.running():
        await sealing.say(planned([event.batch], copies("onsite")), "planned")
        (proof,) = await sealing.until(CopyVerified, len)
    for part in (site.folder / "landing" / event.batch.archive.key).iterdir():
        part.unlink()
    fields = proof.copy_key.model_dump(include=set(ProvenCopy.model_fields))
    archived = BatchArchived(
        batch_id=event.batch.batch_id,
        study_uid=event.study_uid,
        study_ref=event.study_ref,
        pack_ids=("pack",),
        sealed_ids=(proof.copy_key.sealed_id,),
        copies=(ProvenCopy(proven=proof.proven, **fields),),
        withheld=0,
    )
    async with site.running():
        await site.ask("/pacs/release", post=True)
        await sealing.say(archived, "archived")
        await site.until(ForwardDelivered, 1)
        assert pacs.data_sets() == expected(files)
        await eventually(lambda: is_idle(site))
    assert await site.dead_letters() == 0


async def is_idle(site: ForwardingSite) -> bool:
    """Whether nothing waits."""
    return bool((await site.row("pacs"))["backlog"] == 0)
