"""A plan that comes again: replayed or as a later run, under other rules, before and after its bytes were released."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import SecondaryCaptureImageStorage
from sqlalchemy import delete, select

from contracts.events import (
    Batch,
    BatchArchived,
    Blob,
    CopyDamaged,
    CopyKey,
    CopyRemoved,
    CopyVerified,
    Event,
    PackPlanned,
    Sealed,
    Sections,
)
from services.deid.adapters.register import SqlRegister
from services.deid.adapters.tables import known_copy, outbox
from services.deid.adapters.work_area import StoredWorkArea
from services.deid.domain.packing import Original
from services.deid.domain.part10 import Project
from services.deid.handlers import DeidHandlers
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.cloudevent import Received
from shared.messaging.outbox import Outbox
from shared.settings import ServiceSettings
from shared.sql import Database
from shared.storage import FilesystemStore
from tests.integration.copies.site import objects
from tests.integration.deid.site import identities_on
from tests.support.instances import as_file, make_instances
from tests.support.packs import copies, planned
from tests.unit.deid.originals import describe, project, trusting

BLOB = Blob(store="landing", key="k", size=1)
BATCHES = tuple(
    Batch(batch_id=name, manifest=BLOB, headers=BLOB, archive=BLOB, instances=2, size=1) for name in ("b1", "b2")
)
PLAN = copies("onsite", form="deidentified", domain="research")


class Desk:
    """The handlers on a real register and work area; ``rules`` may change, and every message says when it was told."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.rules = database, project()
        self.store = FilesystemStore(folder / "deid")
        slices = make_instances(2)
        kind = {"study_uid": slices[0].StudyInstanceUID, "SOPClassUID": SecondaryCaptureImageStorage}
        self.files = [as_file(each) for each in (*slices, *make_instances(1, **kind))]
        self.worked = 0
        bus = Bus(ServiceSettings(), "deid")
        self.identities = identities_on(database, folder)
        self.handlers = DeidHandlers(
            site_key=SiteKey(bytes(32)),
            inputs=self,
            projects=self,
            work_area=StoredWorkArea(self.store, folder / "work"),
            register=SqlRegister(database, Outbox(outbox, database, bus), self.identities.map),
        )

    async def originals(self, event: PackPlanned) -> Sequence[Original]:
        """The files, as often as they are asked for."""
        self.worked += 1
        return [Original(describe(file), (lambda file=file: [file],)) for file in self.files]

    def open(self, name: str) -> Project:
        """The rules of now."""
        return self.rules

    async def plan(self, at: int, run: int = 0) -> list[dict[str, Any]]:
        """What is told for the plan's run, told at second ``at``, of packs."""
        await self.handlers.pack_planned(_said(planned(BATCHES, PLAN, run=run), at, f"plan-{run}"))
        return [json.loads(data) for subject, data in await self._told() if "deidentified" in subject]

    async def archived(self, at: int) -> None:
        """The ledger says that both batches are."""
        for batch in BATCHES:
            event = BatchArchived(
                batch_id=batch.batch_id, study_uid=None, study_ref="study", pack_ids=(), sealed_ids=(), copies=(),
                withheld=0,
            )  # fmt: skip
            await self.handlers.batch_archived(_said(event, at))

    async def proven(self, pack_id: str, at: int) -> None:
        """A copy of the pack is."""
        await self.handlers.copy_verified(_said(verified(pack_id, at), at))

    async def kept(self) -> bool:
        """Whether an archive is in the work area."""
        return any("/archive/" in key for key in await objects(self.store))

    async def _told(self) -> list[tuple[str, str]]:
        query = select(outbox.c.subject, outbox.c.data).order_by(outbox.c.number)
        rows = await self.database.read(lambda connection: connection.execute(query).all())
        return [(row.subject, row.data) for row in rows]


def moment(second: int) -> datetime:
    """So many seconds after the first."""
    return datetime.fromtimestamp(1_000_000 + second, UTC)


def _said(event: Event, at: int, id: str = "x") -> Received[Any]:  # noqa: A002
    return Received(id=id, data=event, time=moment(at))


def copy_key(pack_id: str) -> CopyKey:
    """A copy of a de-identified pack."""
    return CopyKey(
        sealed_id=f"sealed-{pack_id}",
        pack_id=pack_id,
        form="deidentified",
        target="onsite",
        tier="hot",
        key_domain="research",
        generation=1,
        keys=("k",),
    )


def verified(pack_id: str, at: int) -> CopyVerified:
    """The copy was proven."""
    return CopyVerified(
        copy_key=copy_key(pack_id), level="instances", instances=2, size=1, written=moment(0), proven=moment(at)
    )


def damaged(pack_id: str, at: int) -> CopyDamaged:
    """The copy was found damaged."""
    sealed = Sealed(
        sealed_id="s", pack_id=pack_id, form="deidentified", key_domain="research", study_key=BLOB, instances=2,
        size=1, manifest_sha256="0" * 64, sections=Sections(manifest=1, headers=1, archive=1), parts=(),
    )  # fmt: skip
    return CopyDamaged(copy_key=copy_key(pack_id), sealed=sealed, reason="missing", sources=(), found=moment(at))


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    """Nothing has come yet."""
    return Desk(database, tmp_path)


async def test_a_replay_under_other_rules_leaves_what_was_told_and_kept(desk: Desk) -> None:
    """Before the bytes are released and after: no error, no other fact, no other object."""
    told = await desk.plan(at=10)
    before = await objects(desk.store)
    desk.rules = trusting()
    assert await desk.plan(at=10) == told
    await desk.archived(at=20)
    assert not await desk.kept()
    left = await objects(desk.store)
    assert set(left) < set(before)
    assert await desk.plan(at=10) == told
    assert (await objects(desk.store), desk.worked) == (left, 2)


async def test_a_later_run_after_release_needs_no_bytes_where_a_copy_is_proven(desk: Desk) -> None:
    """Sealing finds them in the copy, whatever the rules are by now: the recorded pack is what is copied on."""
    (first,) = await desk.plan(at=10)
    await desk.archived(at=20)
    await desk.proven(first["pack_id"], at=15)
    desk.rules = trusting()
    told = await desk.plan(at=30, run=1)
    assert told[1:] == [first | {"run": 1}]
    assert (await desk.kept(), desk.worked) == (False, 1)


async def test_what_a_later_run_keeps_for_sealing_goes_when_a_copy_is_proven(desk: Desk) -> None:
    """That the batches are archived is not told again, and hearing it once more says nothing of this run."""
    (first,) = await desk.plan(at=10)
    await desk.archived(at=20)
    assert (await desk.plan(at=30, run=1))[1:] == [first | {"run": 1}]
    await desk.archived(at=20)
    assert await desk.kept()
    await desk.proven("another", at=40)
    assert await desk.kept()
    await desk.proven(first["pack_id"], at=40)
    assert not await desk.kept()


async def test_what_a_later_run_keeps_goes_when_the_ledger_says_archived_again(desk: Desk) -> None:
    """As it does under another plan, for which the copy may not be wanted any longer."""
    await desk.plan(at=10)
    await desk.archived(at=20)
    await desk.plan(at=30, run=1)
    await desk.archived(at=40)
    assert not await desk.kept()


async def test_a_later_run_before_release_waits_for_its_own_proof(desk: Desk) -> None:
    """An older word on the batches comes late."""
    (first,) = await desk.plan(at=10)
    await desk.plan(at=30, run=1)
    await desk.archived(at=20)
    assert await desk.kept()
    await desk.proven(first["pack_id"], at=40)
    assert not await desk.kept()


async def test_without_any_copy_a_later_run_under_other_rules_makes_another_pack(desk: Desk) -> None:
    """Its name is another, so that nothing of the two is ever mixed; from then on it is the recorded one."""
    (first,) = await desk.plan(at=10)
    await desk.archived(at=20)
    desk.rules = trusting()
    other = (await desk.plan(at=30, run=1))[1]
    assert other["pack_id"] != first["pack_id"] and (first["instances"], other["instances"]) == (2, 3)
    assert await desk.kept()
    await desk.proven(first["pack_id"], at=40)
    assert await desk.kept()
    await desk.proven(other["pack_id"], at=40)
    assert not await desk.kept()
    assert (await desk.plan(at=50, run=2))[2] == other | {"run": 2}


async def test_a_lost_work_area_is_made_again(desk: Desk) -> None:
    """Of what was not released yet, for a replay as well."""
    (first,) = await desk.plan(at=10)
    for key in await objects(desk.store):
        await desk.store.delete(key)
    assert await desk.plan(at=10) == [first]
    assert await desk.kept()


@pytest.mark.parametrize(("times", "stays"), [((15, 12, None), True), ((12, 15, None), False), ((15, 12, 13), False)])
async def test_a_copy_counts_by_when_it_was_proven_damaged_and_removed(
    desk: Desk, times: tuple[int, int, int | None], stays: bool
) -> None:
    """In whatever order that is heard; a removed one never comes back."""
    proof, damage, removal = times
    out = Outbox(outbox, desk.database, Bus(ServiceSettings(), "deid"))
    register = SqlRegister(desk.database, out, desk.identities.map)
    events: list[Event] = [verified("p", proof), damaged("p", damage)]
    events += [CopyRemoved(copy_key=copy_key("p"), removed=moment(removal))] if removal else []
    hear = {
        CopyVerified: desk.handlers.copy_verified,
        CopyDamaged: desk.handlers.copy_damaged,
        CopyRemoved: desk.handlers.copy_removed,
    }
    for order in permutations(events):
        await desk.database.run(lambda connection: connection.execute(delete(known_copy)))
        for event in order:
            await hear[type(event)](_said(event, 0))
        assert bool(await register.proven_copies("p")) is stays
