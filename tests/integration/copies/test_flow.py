"""From a plan to proven copies: encryption, replication and verification on a real bus."""

import httpx

from cli.replay import replay
from contracts.events import (
    CopyDamaged,
    CopyExpired,
    CopyFailed,
    CopyKey,
    CopyRemoved,
    CopyVerified,
    CopyWritten,
    PackSealed,
)
from contracts.streams import documents
from shared.identity import SiteKey
from shared.messaging.plan import read_plan
from shared.storage import FilesystemStore
from tests.integration.copies.site import BUILDS, Site, objects, places, settle
from tests.support.packs import copies, planned
from tests.support.ports import free_ports
from tests.support.services import eventually

TARGETS = ("onsite", "cloud-a", "cloud-b")


async def test_a_planned_pack_ends_in_proven_copies(site: Site) -> None:
    """Every target holds the same objects, each copy is proven by its instances, and its key lies beside it."""
    async with site.running():
        await site.say(planned([await site.batch(), await site.batch(seed=10)], copies(*TARGETS)), "plan")
        verified = await site.until(CopyVerified, lambda found: len(found) == 3)
    assert places(verified) == {(target, 1) for target in TARGETS}
    assert {(event.level, event.instances) for event in verified} == {("instances", 6)}
    held = [await objects(site.store(target)) for target in TARGETS]
    assert held[0] == held[1] == held[2] == set(verified[0].copy_key.keys)
    sealed = (await site.said(PackSealed))[0].sealed
    for target in TARGETS:
        assert (site.folder / f"{target}-keys" / sealed.study_key.key / "0001").is_file()
    assert await site.dead_letters() == 0


async def test_a_flipped_byte_is_found_and_written_again_each_time(site: Site) -> None:
    """Twice: verification finds it, the next generation is written from a proven copy and proven; the old one goes."""
    async with site.running(reprove_after=1):
        await site.say(planned([await site.batch()], copies(*TARGETS)), "plan")
        await site.until(CopyVerified, lambda found: len(places(found)) == 3)
        for generation in (1, 2):
            written = [w for w in await site.said(CopyWritten) if w.copy_key.target == "cloud-a"]
            copy = next(w.copy_key for w in written if w.copy_key.generation == generation)
            site.flip(site.folder / "cloud-a" / copy.keys[0])
            proven = await site.until(CopyVerified, lambda found, g=generation: ("cloud-a", g + 1) in places(found))
            await site.say(CopyExpired(copy_key=copy, reason="superseded"), f"expired-{generation}")
            await site.until(CopyRemoved, lambda found, g=generation: len(found) == g)
        found = [event for event in await site.said(CopyDamaged) if event.copy_key.target == "cloud-a"]
    assert [(event.copy_key.generation, event.reason) for event in found] == [(1, "ciphertext"), (2, "ciphertext")]
    assert all({source.target for source in event.sources} == {"onsite", "cloud-b"} for event in found)
    newest = next(e.copy_key for e in proven if (e.copy_key.target, e.copy_key.generation) == ("cloud-a", 3))
    assert await objects(site.store("cloud-a")) == set(newest.keys)
    assert await site.dead_letters() == 0


async def test_a_missing_copy_is_written_again_without_the_buffer(site: Site) -> None:
    """The sealing buffer is released; a proven copy in another target is the source."""
    async with site.running(reprove_after=1):
        await site.say(planned([await site.batch()], copies(*TARGETS)), "plan")
        proven = await site.until(CopyVerified, lambda found: len(places(found)) == 3)
        await site.release()
        (site.folder / "cloud-b" / proven[0].copy_key.keys[0]).unlink()
        await site.until(CopyVerified, lambda found: ("cloud-b", 2) in places(found))
    assert {event.reason for event in await site.said(CopyDamaged)} == {"missing"}
    assert await site.dead_letters() == 0


async def test_a_damaged_buffer_is_never_copied_on(site: Site) -> None:
    """Nothing is written from it: the copy fails, the next run of the plan seals the same bytes again."""
    plan = planned([await site.batch()], copies("onsite"))
    async with site.running("encryption"):
        await site.say(plan, "plan")
        sealed = (await site.until(PackSealed, len))[0].sealed
    site.flip(site.folder / "sealed" / sealed.parts[0].key)
    async with site.running():
        failed = await site.until(CopyFailed, len)
        assert (failed[0].reason, failed[0].retrying) == ("source-damaged", False)
        assert await objects(site.store("onsite")) == set()
        await site.say(plan.model_copy(update={"run": 1}), "plan-again")
        await site.until(CopyVerified, len)
    assert [event.run for event in await site.said(CopyVerified)] == [1]
    assert await site.dead_letters() == 0


async def test_a_damaged_buffer_is_replaced_by_a_copy_that_is_there(site: Site) -> None:
    """One target has the pack already; another one gets it from there, checked by its digest."""
    async with site.running():
        await site.say(planned([await site.batch()], copies("onsite")), "plan")
        await site.until(CopyVerified, len)
        sealed = (await site.said(PackSealed))[0].sealed
        site.flip(site.folder / "sealed" / sealed.parts[0].key)
        event = PackSealed(sealed=sealed, copies=copies("onsite", "cloud-a"))
        await site.say(event, "sealed-for-more")
        await site.until(CopyVerified, lambda found: ("cloud-a", 1) in places(found))
    assert await site.said(CopyFailed) == []


async def test_a_damaged_landing_batch_is_a_dead_letter(site: Site) -> None:
    """A flip in the landing store is found by ingest's digests; nothing is sealed, nothing is copied."""
    batch = await site.batch()
    site.flip(site.folder / "landing" / batch.archive.key / "0001", 900)
    async with site.running():
        await site.say(planned([batch], copies(*TARGETS)), "plan")
        await eventually(site.dead_letters)
    assert await site.said(PackSealed) == []
    assert await objects(site.sealed) == set()


async def test_a_replay_of_everything_changes_nothing(site: Site) -> None:
    """After release each service reads all events again: no new id in the stream, no new object anywhere."""
    async with site.running():
        await site.say(planned([await site.batch()], copies(*TARGETS)), "plan")
        await site.until(CopyVerified, lambda found: len(places(found)) == 3)
        await site.release()
        copy = (await site.said(CopyWritten))[0].copy_key
        await site.say(CopyExpired(copy_key=copy, reason="retention"), "expired")
        await site.until(CopyRemoved, len)
        before = await _everything(site)
        ids = {ce_id for ce_id, _ in await site.told()}
        async with site.server.jetstream() as jetstream:
            for service in BUILDS:
                await replay(jetstream, read_plan(*documents()), {"target": list(TARGETS)}, service, 1)
        await settle(2)
        await eventually(site.idle)
        assert {ce_id for ce_id, _ in await site.told()} == ids
        assert await _everything(site) == before
    assert await site.dead_letters() == 0


async def test_what_was_sealed_for_a_new_target_later_comes_from_a_copy(site: Site) -> None:
    """A new plan after release asks for one more copy; the receipt answers, a sibling is the source."""
    batch = await site.batch()
    async with site.running():
        await site.say(planned([batch], copies("onsite")), "plan")
        await site.until(CopyVerified, len)
        await site.release()
        await site.landing.delete(f"{batch.archive.key}/0001")
        await site.say(planned([batch], copies("onsite", "cloud-b")), "replanned")
        await site.until(CopyVerified, lambda found: ("cloud-b", 1) in places(found))
    assert await site.dead_letters() == 0


async def test_a_new_key_domain_after_release_is_sealed_from_a_copy(site: Site) -> None:
    """Landing and buffer are gone; the pack is opened from a copy whose digests are right, and sealed anew."""
    batch = await site.batch()
    async with site.running():
        await site.say(planned([batch], copies("onsite", "cloud-a")), "plan")
        written = (await site.until(CopyVerified, lambda found: len(places(found)) == 2))[0].copy_key
        await site.release()
        for blob in (batch.archive, batch.headers, batch.manifest):
            await site.landing.delete(f"{blob.key}/0001")
        site.flip(site.folder / "onsite" / written.keys[0])
        await site.say(planned([batch], copies("cloud-b", domain="other")), "replanned")
        proven = await site.until(CopyVerified, lambda found: ("cloud-b", 1) in places(found))
    one, other = (event.sealed for event in await site.said(PackSealed))
    assert one.sealed_id != other.sealed_id
    assert (one.manifest_sha256, one.sections) == (other.manifest_sha256, other.sections)
    assert proven[-1].instances == batch.instances
    assert await site.dead_letters() == 0


async def test_a_pack_is_found_in_whatever_generation_its_copy_is(site: Site) -> None:
    """Eleven were repaired and removed; their marks lead to the twelfth."""
    batch = await site.batch()
    async with site.running():
        await site.say(planned([batch], copies("onsite")), "plan")
        copy = (await site.until(CopyVerified, len))[0].copy_key
        await site.release()
        for blob in (batch.archive, batch.headers, batch.manifest):
            await site.landing.delete(f"{blob.key}/0001")
        await _grow_old(site, copy, 12)
        await site.say(planned([batch], copies("cloud-b", domain="other")), "replanned")
        await site.until(CopyVerified, lambda found: ("cloud-b", 1) in places(found))
    assert await site.dead_letters() == 0


async def _grow_old(site: Site, copy: CopyKey, generation: int) -> None:
    """Leave of a copy on site what repairs leave."""
    site_key, store = SiteKey.load(site.folder / "site.key"), site.store("onsite")
    folders = [site_key.storage_key(copy.form, copy.sealed_id, "copy", each) for each in range(1, generation + 1)]
    await store.put(f"{folders[-1]}/0001", await store.get(copy.keys[0]))
    await store.delete(copy.keys[0])
    for folder in folders[:-1]:
        await FilesystemStore(site.folder / "onsite-keys").put(f"removed/{folder}", b"removed")


async def test_verification_is_asked_over_http(site: Site) -> None:
    """``POST /api/verify`` proves a study again at once, with an event of its own each time."""
    port = free_ports(1)[0]
    async with site.running("encryption", "replication"), site.running("verification", http_port=port):
        await site.say(planned([await site.batch()], copies("onsite", "cloud-a")), "plan")
        await site.until(CopyVerified, lambda found: len(found) == 2)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for round_, asked in enumerate(({"study_ref": "study"}, {"all": True}), start=2):
                answer = await client.post("/api/verify", json=asked)
                assert (answer.status_code, answer.json()) == (202, {"copies": 2})
                await site.until(CopyVerified, lambda found, n=2 * round_: len(found) == n)
            assert (await client.post("/api/verify", json={"all": False})).status_code == 422
            assert (await client.post("/api/verify", json={"sealed_id": "other"})).json() == {"copies": 0}
    assert sorted(event.run for event in await site.said(CopyVerified)) == [0, 0, 1, 1, 2, 2]


async def _everything(site: Site) -> dict[str, set[str]]:
    """Every key of every store."""
    names = ("sealed", "keys", *(f"{target}{suffix}" for target in TARGETS for suffix in ("", "-keys")))
    return {name: await objects(FilesystemStore(site.folder / name)) for name in names}
