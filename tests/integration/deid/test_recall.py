"""A recall with every service that has a part in it, on a real bus: withdrawn, proven gone, released again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from contracts.events import (
    BatchArchived,
    BatchStored,
    CopyAbsent,
    CopyVerified,
    KeyDestroyed,
    PackDeidentified,
    PackRecalled,
)
from services.tier_routing import app as tier_routing
from services.tier_routing.config import Settings as RoutingSettings
from shared.identity import SiteKey
from shared.service import Service
from tests.integration.copies.site import objects
from tests.integration.deid.site import DeidSite
from tests.support.instances import make_instances
from tests.support.nats import NatsServer
from tests.support.ports import free_ports
from tests.support.services import eventually

POLICY = """
format: causeway.policy/1
pack: {size: 64MiB, quiet: 200ms, recovery_point: 5s}
commit_after: [onsite]
default:
  copies:
    - {form: identified, target: onsite, tier: hot}
    - {form: deidentified, target: onsite, tier: hot, key_domain: research, project: research}
    - {form: deidentified, target: remote, tier: hot, key_domain: research, project: research}
"""
OTHERS = ("tier_routing", "encryption", "replication", "verification")
WEAK = {"profile": "research", "version": "1", "reason": "a private attribute was kept that names the ward"}


class RecallSite(DeidSite):
    """The site with the ledger, so that plans are its own."""

    def __init__(self, folder: Path, server: NatsServer, remote: dict[str, Any] | None = None) -> None:
        super().__init__(folder, server)
        if remote:
            self.targets["remote"] |= remote
            (folder / "targets.yaml").write_text(yaml.safe_dump({"targets": self.targets}))
        (self.port,) = free_ports(1)
        (folder / "policy.yaml").write_text(POLICY)

    def service(self, name: str, **others: Any) -> Service:
        if name != "tier_routing":
            return super().service(name, **others)
        return tier_routing.build(RoutingSettings.model_validate(self.values(name, **others)))

    def values(self, name: str, **others: Any) -> dict[str, Any]:
        own: dict[str, dict[str, Any]] = {
            "tier_routing": {"policy_file": self.folder / "policy.yaml", "pack_timer_every": 0.05},
            "deid": {"http_port": self.port},
        }
        return super().values(name, **own.get(name, {}), **others)

    async def stored(self, slices: list[Dataset]) -> None:
        """A batch of a study lies in the landing store, and that is told."""
        batch, uid = await self.batch_of(slices, "HOSP"), str(slices[0].StudyInstanceUID)
        study_ref = SiteKey.load(self.folder / "site.key").study_ref(uid)
        now = datetime.now(UTC)
        await self.say(BatchStored(batch=batch, study_uid=uid, study_ref=study_ref, opened=now, closed=now), uid)

    def profile(self, version: str) -> Path:
        """The folder with a version of the project's profile."""
        folder = self.folder / f"profiles-{version}"
        folder.mkdir(exist_ok=True)
        written = f'format: causeway.profile/1\nname: research\nversion: "{version}"\nlegal_basis: gdpr_pseudonymised\n'
        (folder / "research.yaml").write_text(written)
        return folder

    async def recalls(self) -> list[dict[str, Any]]:
        """How far every recall is."""
        async with self.http() as http:
            found: list[dict[str, Any]] = (await http.get("/api/deid/recalls")).json()["recalls"]
        return found

    async def recall(self, **others: str) -> httpx.Response:
        """Ask for one."""
        async with self.http() as http:
            return await http.post("/api/deid/recalls", json=WEAK | others)

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=20) as http:
            yield http

    async def in_state(self, state: str) -> None:
        """Wait until every recall is."""

        async def are() -> bool:
            return {one["state"] for one in await self.recalls()} == {state}

        try:
            await eventually(are, 60)
        except AssertionError:
            raise AssertionError(f"{await self.recalls()}; {await self._summary()}") from None


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
            assert (await site.recall()).status_code == 202
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
    site = RecallSite(tmp_path, nats_server, {"lock_days": 30})
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
