"""From a plan to proven copies: encryption, replication and verification on a real bus."""

from pathlib import Path

import pytest

from contracts.events import CopyVerified, PackSealed
from tests.integration.copies.site import Site, objects, places
from tests.support.nats import NatsServer
from tests.support.packs import copies, planned


@pytest.fixture
def site(tmp_path: Path, nats_server: NatsServer) -> Site:
    """Three targets in folders."""
    clouds = {
        name: {
            "kind": "filesystem",
            "url": f"file://{tmp_path / name}",
            "jurisdiction": "de",
            "forms": ["identified", "deidentified"],
        }
        for name in ("cloud-a", "cloud-b")
    }
    return Site(tmp_path, nats_server, clouds)


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
