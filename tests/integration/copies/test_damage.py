"""Damage of every kind is mended from what is sound, or comes to an end that somebody sees."""

from pathlib import Path

import httpx
import pytest
import yaml

from contracts.events import (
    CopyDamaged,
    CopyExpired,
    CopyFailed,
    CopyRemoved,
    CopyVerified,
    CopyWritten,
    PackSealed,
)
from tests.integration.copies.site import Site, objects, places, settle
from tests.support.packs import copies, planned, sha256
from tests.support.ports import free_ports

TARGETS = ("onsite", "cloud-a", "cloud-b")


async def test_a_damaged_copy_on_site_is_never_copied_on_as_good(site: Site) -> None:
    """The buffer is released, the copy on site flipped, that in one cloud gone: its bytes come from the other cloud."""
    port = free_ports(1)[0]
    async with site.running("encryption", "replication"), site.running("verification", http_port=port):
        await site.say(planned([await site.batch()], copies(*TARGETS)), "plan")
        verified = await site.until(CopyVerified, lambda found: len(found) == 3)
        await site.release()
        [key] = verified[0].copy_key.keys
        site.flip(site.folder / "onsite" / key)
        flipped = sha256((site.folder / "onsite" / key).read_bytes())
        (site.folder / "cloud-a" / key).unlink()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await client.post("/api/verify", json={"all": True})
        mended = await site.until(CopyVerified, lambda found: {("onsite", 2), ("cloud-a", 2)} <= places(found))
    sealed = (await site.said(PackSealed))[0].sealed
    for target in ("onsite", "cloud-a"):
        [again] = site.copies_of(mended, target)[2].keys
        assert sha256(await site.store(target).get(again)) == sealed.parts[0].sha256 != flipped
    assert await site.dead_letters() == 0


@pytest.mark.parametrize("damage", ["lost", "flipped"])
async def test_a_key_record_is_put_back_with_the_first_copy_that_misses_it(site: Site, damage: str) -> None:
    """One more generation, proven; then there is peace."""
    async with site.running(reprove_after=1):
        await site.say(planned([await site.batch()], copies(*TARGETS)), "plan")
        await site.until(CopyVerified, lambda found: len(places(found)) == 3)
        first = site.copies_of(await site.said(CopyWritten), "cloud-a")[1]
        _damage_key(site, "cloud-a", damage)
        await site.until(CopyVerified, lambda found: ("cloud-a", 2) in places(found))
        await site.say(CopyExpired(copy_key=first, reason="superseded"), "superseded")
        await site.until(CopyRemoved, len)
        await settle(3)
    assert places(await site.said(CopyWritten)) == {(target, 1) for target in TARGETS} | {("cloud-a", 2)}
    assert {event.reason for event in await site.said(CopyDamaged)} == {"missing" if damage == "lost" else "seal"}
    assert await site.dead_letters() == 0


async def test_a_damaged_key_record_holds_up_no_other_pack_of_the_study(site: Site) -> None:
    """A process that never saw the record meets it with the study's next pack, and replaces it."""
    async with site.running():
        await site.say(planned([await site.batch()], copies("cloud-a")), "plan")
        await site.until(CopyVerified, len)
    _damage_key(site, "cloud-a", "flipped")
    async with site.running():
        await site.say(planned([await site.batch(seed=10)], copies("cloud-a"), pack_id="next"), "next")
        await site.until(CopyVerified, lambda found: len(found) == 2)
    assert await site.said(CopyDamaged) == []
    assert await site.dead_letters() == 0


async def test_copies_whose_keys_vanish_again_and_again_come_to_an_end(site: Site) -> None:
    """Three generations, then ``copy.failed``; for every run that the sweep starts the same three, and no more."""
    plan = planned([await site.batch()], copies(*TARGETS))
    elsewhere = _without_keys(site, "cloud-a")
    async with site.running("encryption", "replication"), site.running("verification", targets_file=elsewhere):
        await site.say(plan, "plan")
        failed = await site.until(CopyFailed, len, within=60)
        await settle(2)
        assert [(e.copy_key.target, e.reason, e.retrying) for e in failed] == [("cloud-a", "never-proven", False)]
        await site.say(plan.model_copy(update={"run": 1, "copies": copies("cloud-a")}), "again")
        await site.until(CopyFailed, lambda found: [event.run for event in found] == [0, 1])
        await settle(2)
    assert site.copies_of(await site.said(CopyWritten), "cloud-a").keys() == {1, 2, 3}
    assert len(await site.said(CopyFailed)) == 2
    assert await site.dead_letters() == 0


async def test_a_pack_that_was_sealed_with_a_wrong_manifest_is_not_rewritten_for_ever(site: Site) -> None:
    """Its copies are what was sealed: no generation would be better, and the ledger is told."""
    async with site.running("encryption"):
        await site.say(planned([await site.batch()], copies("onsite")), "plan")
        sealed = (await site.until(PackSealed, len))[0].sealed
    claimed = sealed.model_copy(update={"manifest_sha256": "0" * 64})
    async with site.running("replication", "verification"):
        await site.say(PackSealed(sealed=claimed, copies=copies("cloud-a")), "sealed wrongly")
        failed = await site.until(CopyFailed, len)
        await settle(2)
    assert [(e.copy_key.generation, e.reason, e.retrying) for e in failed] == [(1, "pack-damaged", False)]
    assert [event.reason for event in await site.said(CopyDamaged)][-1] == "manifest"
    assert len(await objects(site.store("cloud-a"))) == 1
    assert await site.dead_letters() == 0


def _damage_key(site: Site, target: str, damage: str) -> None:
    """Lose, or flip a byte of, the only record in a key bucket."""
    [record] = (site.folder / f"{target}-keys" / "study-keys").rglob("0001")
    if damage == "lost":
        record.unlink()
    else:
        site.flip(record, 100)


def _without_keys(site: Site, target: str) -> Path:
    """Targets as somebody sees them who finds no key in one key bucket, whatever is put there."""
    (site.folder / target).mkdir()
    (site.folder / "keyless").symlink_to(site.folder / target)
    seen = {**site.targets, target: {**site.targets[target], "url": f"file://{site.folder / 'keyless'}"}}
    path = site.folder / "seen.yaml"
    path.write_text(yaml.safe_dump({"targets": seen}))
    return path
