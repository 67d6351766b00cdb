"""A plan that is made after everything was proven and released: copies come from copies, and none comes back."""

from cli.replay import replay
from contracts.events import CopyExpired, CopyRemoved, CopyVerified, CopyWritten, PackSealed, PlannedCopy
from contracts.streams import documents
from shared.messaging.plan import read_plan
from tests.integration.copies.site import BUILDS, Site, objects, places, settle
from tests.support.packs import copies, planned, sha256
from tests.support.services import eventually


def wanted(target: str, generation: int, tier: str = "hot") -> tuple[PlannedCopy, ...]:
    """One copy, as the ledger plans it."""
    return tuple(copy.model_copy(update={"generation": generation, "tier": tier}) for copy in copies(target))


async def test_a_target_that_is_planned_alone_is_filled_from_the_others(site: Site) -> None:
    """Its plan names no other copy; the sealing buffer and the landing batch are gone, and one other is damaged."""
    batch = await site.batch()
    async with site.running():
        await site.say(planned([batch], copies("cloud-a", "onsite")), "plan")
        written = site.copies_of(await site.until(CopyVerified, lambda found: len(found) == 2), "cloud-a")
        await site.release()
        await _release_landing(site, batch)
        site.flip(site.folder / "cloud-a" / written[1].keys[0])
        await site.say(planned([batch], wanted("cloud-b", 1), run=1), "another")
        await site.until(CopyVerified, lambda found: ("cloud-b", 1) in places(found))
    sealed = (await site.said(PackSealed))[0].sealed
    assert sha256(await site.store("cloud-b").get(written[1].keys[0])) == sealed.parts[0].sha256
    assert await site.dead_letters() == 0


async def test_a_cancelled_copy_that_is_wanted_again_is_written_and_proven_again(site: Site) -> None:
    """In whichever order its end and the new plan arrive; a replay of everything brings back none that was removed."""
    batch = await site.batch()
    async with site.running():
        await site.say(planned([batch], [*wanted("onsite", 1), *wanted("cloud-b", 1)]), "plan")
        first = site.copies_of(await site.until(CopyVerified, lambda found: len(found) == 2), "cloud-b")[1]
        await site.release()
        await site.say(CopyExpired(copy_key=first, reason="cancelled"), "cancelled")
        await site.until(CopyRemoved, len)
        assert await objects(site.store("cloud-b")) == set()
        await site.say(planned([batch], wanted("cloud-b", 2), run=1), "again")
        await site.until(CopyVerified, lambda found: ("cloud-b", 2) in places(found))
        await site.say(planned([batch], wanted("cloud-b", 3), run=2), "third")
        third = site.copies_of(await site.until(CopyVerified, lambda found: ("cloud-b", 3) in places(found)), "cloud-b")
        await site.say(CopyExpired(copy_key=third[2], reason="cancelled"), "cancelled again")
        await site.until(CopyRemoved, lambda found: len(found) == 2)
        assert await objects(site.store("cloud-b")) == set(third[3].keys)
        await _replay_all(site)
        assert await objects(site.store("cloud-b")) == set(third[3].keys)
    assert await site.dead_letters() == 0


async def test_a_copy_in_another_tier_is_another_one_made_of_the_first(site: Site) -> None:
    """Nothing else holds the pack any more; the first goes when the ledger says so."""
    batch = await site.batch()
    async with site.running():
        await site.say(planned([batch], wanted("cloud-a", 1)), "plan")
        hot = site.copies_of(await site.until(CopyVerified, len), "cloud-a")[1]
        await site.release()
        await _release_landing(site, batch)
        await site.say(planned([batch], wanted("cloud-a", 2, "cold"), run=1), "colder")
        verified = await site.until(CopyVerified, lambda found: len(found) == 2)
        cold = site.copies_of(verified, "cloud-a")[2]
        await site.say(CopyExpired(copy_key=hot, reason="superseded"), "superseded")
        await site.until(CopyRemoved, len)
    assert ((hot.tier, cold.tier), await objects(site.store("cloud-a"))) == (("hot", "cold"), set(cold.keys))
    assert [event.copy_key.tier for event in await site.said(CopyWritten)] == ["hot", "cold"]
    assert await site.dead_letters() == 0


async def _release_landing(site: Site, batch) -> None:
    for blob in (batch.archive, batch.headers, batch.manifest):
        await site.landing.delete(f"{blob.key}/0001")


async def _replay_all(site: Site) -> None:
    """Every event again to every service: no new id in the stream."""
    ids = {ce_id for ce_id, _ in await site.told()}
    async with site.server.jetstream() as jetstream:
        for service in BUILDS:
            await replay(jetstream, read_plan(*documents()), {"target": list(site.targets)}, service, 1)
    await settle(2)
    await eventually(site.idle)
    assert {ce_id for ce_id, _ in await site.told()} == ids
