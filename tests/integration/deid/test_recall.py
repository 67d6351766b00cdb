"""A recall with every service that has a part in it, on a real bus: withdrawn, proven gone, released again."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from contracts.events import (
    BatchArchived,
    CopyAbsent,
    CopyVerified,
    KeyDestroyed,
    PackDeidentified,
    PackRecalled,
)
from tests.integration.copies.site import objects
from tests.integration.deid.recall_site import OTHERS, WEAK, RecallSite
from tests.support.instances import make_instances
from tests.support.nats import NatsServer
from tests.support.services import eventually


@pytest.fixture
def recalling(tmp_path: Path, nats_server: NatsServer) -> RecallSite:
    """Two targets, in folders."""
    return RecallSite(tmp_path, nats_server)


async def test_a_pack_is_withdrawn_proven_gone_everywhere_and_released_again(recalling: RecallSite) -> None:
    """Its objects and its key are gone from both targets; what takes its place is another pack under another key."""
    site = recalling
    async with site.running(*OTHERS):
        async with site.running("deid", profile_dir=site.profile("1")):
            await site.stored(make_instances(2))
            await site.until(CopyVerified, lambda found: len(found) == 3)
            await site.until(BatchArchived, lambda found: len(found) == 1)
            await eventually(site.idle)
            (first,) = await site.said(PackDeidentified)
            before = {name: await objects(site.store(name)) for name in ("onsite", "remote")}
        async with site.running("deid", profile_dir=site.profile("2")):
            asked = await site.recall()
            assert (asked.status_code, asked.json()["studies"]) == (202, 1)
            await site.in_state("released")
            (back,) = await site.said(PackRecalled)
            absent = await site.said(CopyAbsent)
            second = (await site.said(PackDeidentified))[-1]
            proven = [one for one in await site.said(CopyVerified) if one.copy_key.pack_id == second.pack_id]
            await site.until(BatchArchived, lambda found: len(found) == 2)
            keys = await site.said(KeyDestroyed)
            (told,) = await site.recalls()
    assert (back.pack_id, back.source_pack_id, back.profile_version) == (first.pack_id, first.source_pack_id, "1")
    assert {(one.copy_key.pack_id, one.copy_key.target, one.level) for one in absent} == {
        (first.pack_id, "onsite", "removed"), (first.pack_id, "remote", "removed"),
    }  # fmt: skip
    assert second.pack_id != first.pack_id and (first.release, second.release) == (0, 1)
    assert {one.copy_key.target for one in proven} == {"onsite", "remote"}
    withdrawn = {key for one in absent for key in one.copy_key.keys}
    for name in ("onsite", "remote"):
        assert not withdrawn & await objects(site.store(name)) and withdrawn & before[name]
    (key,) = {one.study_key for one in keys}
    for folder in ("keys", "onsite-keys", "remote-keys"):
        assert not list((site.folder / folder / key).glob("*"))
    assert await site.dead_letters() == 0
    assert (told["packs"], told["copies"], told["absent"], told["released"]) == (1, 2, 2, 1)


async def test_where_a_target_is_locked_the_key_is_the_proof_and_nothing_goes_out_before_a_better_profile(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    """The profile is still the one that was called back: its plans wait, and are no dead letters."""
    folder = {"kind": "filesystem", "url": f"file://{tmp_path}/remote", "jurisdiction": "de", "forms": ["deidentified"]}
    site = RecallSite(tmp_path, nats_server, folder | {"lock_days": 30})
    async with site.running(*OTHERS), site.running("deid", profile_dir=site.profile("1")):
        await site.stored(make_instances(2))
        await site.until(CopyVerified, lambda found: len(found) == 3)
        await eventually(site.idle)
        assert (await site.recall()).status_code == 202
        await site.in_state("withdrawn")
        absent = await site.said(CopyAbsent)
        (told,) = await site.recalls()
        assert len(await site.said(PackDeidentified)) == 1
    assert {one.copy_key.target: one.level for one in absent} == {"onsite": "removed", "remote": "shredded"}
    assert (told["absent"], told["shredded"], told["released"]) == (2, 1, 0)
    assert await site.dead_letters() == 0


@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"version": 3}, {"targets": "all"}, {"project": ""}])
async def test_nothing_is_called_back_without_saying_what_and_why(recalling: RecallSite, body: dict[str, Any]) -> None:
    """Nor with words that nobody knows."""
    wanted = {} if body == {} else WEAK | body
    async with recalling.running("deid"), recalling.http() as http:
        assert (await http.post("/api/deid/recalls", json=wanted)).status_code == 422
        assert await recalling.recalls() == []


async def test_what_people_released_is_called_back_with_the_rest_and_decided_of_anew(recalling: RecallSite) -> None:
    """A part is a pack like any other: it is withdrawn, and what was approved waits again."""
    site = recalling
    slices = make_instances(1)
    kind = {"SOPClassUID": SecondaryCaptureImageStorage}
    shot = make_instances(1, study_uid=slices[0].StudyInstanceUID, **kind)
    async with site.running(*OTHERS), site.http() as http:
        async with site.running("deid", profile_dir=site.profile("1")):
            await site.stored([*slices, *shot])
            await site.until(CopyVerified, lambda found: len(found) == 3)
            await site.until(BatchArchived, lambda found: len(found) == 1)
            (entry,) = (await http.get("/api/quarantine")).json()["withheld"]
            found = (await http.get(f"/api/quarantine/{entry['id']}")).json()
            body = {"action": "approve", "reason": "seen", "candidate": found["candidate"]}
            assert (await http.post(f"/api/quarantine/{entry['id']}", json=body)).status_code == 200
            await site.until(CopyVerified, lambda found: len(found) == 5)
            await site.until(BatchArchived, lambda found: len(found) == 2)
            await eventually(lambda: site.rows("SELECT released FROM part") == [(True,)])
            packs = {one.pack_id for one in await site.said(PackDeidentified)}
            assert (await site.recall()).status_code == 202
        async with site.running("deid", profile_dir=site.profile("2")):
            await site.in_state("released")
            back = await site.said(PackRecalled)
            absent = {(one.copy_key.pack_id, one.copy_key.target) for one in await site.said(CopyAbsent)}
            (again,) = (await http.get("/api/quarantine")).json()["withheld"]
            found = (await http.get(f"/api/quarantine/{again['id']}")).json()
            body = {"action": "approve", "reason": "seen again", "candidate": found["candidate"]}
            assert (await http.post(f"/api/quarantine/{entry['id']}", json=body)).status_code == 200
            await eventually(lambda: site.rows("SELECT released FROM part") == [(True,)], 60)
            (_, part) = (await site.said(PackDeidentified))[-2:]
    assert len(packs) == 2
    assert {one.pack_id for one in back} == packs
    assert absent == {(pack, target) for pack in packs for target in ("onsite", "remote")}
    assert (again["id"], again["state"]) == (entry["id"], "waiting")
    assert [one["outcome"] for one in found["decisions"]] == ["approved"]
    assert (part.part, part.release) == (1, 1)
    assert part.pack_id not in packs
    assert await site.dead_letters() == 0
