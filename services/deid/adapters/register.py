"""Results, identities and quarantine, in SQL."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, select, update

from contracts.events import CopyKey, Event, PackPlanned
from services.deid.adapters import copies, quarantine, released_parts, tables
from services.deid.adapters.identity_map import SqlIdentityMap
from services.deid.adapters.recalls import next_release, refuse_recalled
from services.deid.adapters.sql import insert_new
from services.deid.adapters.work_area import quarantine_key
from services.deid.domain.candidate import entry_id_of
from services.deid.domain.facts import Result
from services.deid.domain.names import write_studies
from services.deid.domain.packing import CleanPack
from services.deid.domain.part10 import Project
from services.deid.ports.register import Kept
from shared.messaging.outbox import Outbox
from shared.sql import Database


class SqlRegister:
    """The register in ``database``; what is told goes through ``outbox``."""

    def __init__(self, database: Database, outbox: Outbox, identities: SqlIdentityMap) -> None:
        self._database = database
        self._outbox = outbox
        self._identities = identities

    async def find(self, source_pack_id: str, project: str) -> Result | None:
        table = tables.result.c
        query = select(table.document, table.released).where(
            (table.source_pack_id == source_pack_id) & (table.project == project)
        )
        row = await self._database.read(lambda connection: connection.execute(query).first())
        return _result(row.document, row.released) if row else None

    async def release(self, project: Project, study_ref: str) -> int:
        return await self._database.read(lambda connection: next_release(connection, project, study_ref))

    async def record(
        self, event: PackPlanned, when: datetime, project: Project, pack: CleanPack, result: Result
    ) -> Sequence[Kept]:
        return await self._database.run(
            lambda connection: _record(connection, event, when.timestamp(), project, pack, result, self._identities)
        )

    async def asked(self, source_pack_id: str, project: str, result: Result, when: datetime) -> None:
        table = tables.result
        mine = (table.c.source_pack_id == source_pack_id) & (table.c.project == project)
        noted = update(table).where(mine).values(document=result.model_dump_json(), asked=when.timestamp())
        await self._database.run(lambda connection: connection.execute(noted))

    async def tell(self, facts: Sequence[tuple[str, Event]]) -> None:
        def add(connection: Connection) -> None:
            for event_id, fact in facts:
                self._outbox.add(connection, fact, id=event_id)

        # Nothing is told of before it is in the journal who is in it.
        await self._identities.flush()
        await self._database.run(add)

    async def archived(self, batch_id: str, when: datetime) -> Sequence[Kept]:
        return await self._database.run(lambda connection: _archived(connection, batch_id, when.timestamp()))

    async def results(self, pack_id: str) -> Sequence[Result]:
        def work(connection: Connection) -> Sequence[Result]:
            found: list[Result] = []
            for table in (tables.result, tables.part):
                mine = (table.c.source_pack_id == pack_id) | (table.c.pack_id == pack_id)
                rows = connection.execute(
                    select(table.c.document, table.c.released).where(mine).order_by(table.c.asked)
                )
                found += [_result(row.document, row.released) for row in rows]
            return found

        return await self._database.read(work)

    async def parts(self, source_pack_id: str, project: str) -> Sequence[tuple[int, Result]]:
        return await self._database.read(lambda connection: released_parts.of(connection, source_pack_id, project))

    async def released(self, pack_id: str) -> None:
        def note(connection: Connection) -> None:
            for table in (tables.result, tables.part):
                connection.execute(update(table).where(table.c.pack_id == pack_id).values(released=True))

        await self._database.run(note)

    async def copy_proven(self, copy: CopyKey, when: datetime) -> Sequence[Kept]:
        def note(connection: Connection) -> Sequence[Kept]:
            copies.note(connection, copy, proven=when.timestamp())
            mine = tables.result.c.pack_id == copy.pack_id
            return [*_releasable(connection, mine), *released_parts.releasable(connection, pack_id=copy.pack_id)]

        return await self._database.run(note)

    async def copy_lost(self, copy: CopyKey, when: datetime | None) -> None:
        lost = copies.FOR_GOOD if when is None else when.timestamp()
        await self._database.run(lambda connection: copies.note(connection, copy, lost=lost))

    async def proven_copies(self, pack_id: str) -> Sequence[CopyKey]:
        return await self._database.read(lambda connection: copies.proven(connection, pack_id))


def _result(document: str, released: bool) -> Result:
    return Result.model_validate_json(document).model_copy(update={"released": released})


def _record(
    connection: Connection,
    event: PackPlanned,
    asked: float,
    project: Project,
    pack: CleanPack,
    result: Result,
    identities: SqlIdentityMap,
) -> Sequence[Kept]:
    refuse_recalled(connection, project, event.study_ref, result.release)
    mine = {"source_pack_id": event.pack_id, "project": project.name}
    table = tables.result.c
    here = (table.source_pack_id == event.pack_id) & (table.project == project.name)
    connection.execute(delete(tables.result).where(here))
    facts = {
        "pack_id": result.pack_id,
        "edition": project.rules.edition,
        "profile": project.profile.name,
        "profile_version": project.profile.version,
        "study_ref": event.study_ref,
        "instances": result.outputs.instances if result.outputs else 0,
        "document": result.model_dump_json(),
        # For those that are withheld: a person may let one go when the others are no longer here.
        "studies": _studies(connection, event, project, pack, identities) if pack.held else None,
    }
    insert_new(connection, tables.result, [{**mine, **facts, "asked": asked, "released": False}])
    insert_new(connection, tables.result_batch, [mine | {"batch_id": batch.batch_id} for batch in event.batches])
    insert_new(connection, tables.withheld, [mine | row for row in _withheld(event, asked, project, pack)])
    quarantine.settle(connection, _mine_withheld(event, project))
    identities.add(connection, project.name, event.pack_id, pack.identities())
    return _releasable(connection, here)


def _studies(
    connection: Connection, event: PackPlanned, project: Project, pack: CleanPack, identities: SqlIdentityMap
) -> bytes:
    about = quarantine.studies_of(event.pack_id)
    return identities.seal(connection, project.name, about, write_studies(pack.studies))


def _mine_withheld(event: PackPlanned, project: Project) -> ColumnElement[bool]:
    table = tables.withheld.c
    return (table.source_pack_id == event.pack_id) & (table.project == project.name)


def _withheld(event: PackPlanned, since: float, project: Project, pack: CleanPack) -> Iterable[dict[str, Any]]:
    for held in pack.held:
        record = pack.held_record(held)
        yield {
            "entry": entry_id_of(event.pack_id, held, project),
            "since": since,
            "instance": record.instance.model_dump_json(exclude_none=True),
            "findings": json.dumps(record.findings),
            "sop_instance_uid": held.sop_instance_uid,
            "dataset_sha256": held.dataset_sha256,
            "study_ref": event.study_ref,
            "reason": held.reason.value,
            "blob_key": quarantine_key(project, held),
            "size": held.span.length,
        }


def _archived(connection: Connection, batch_id: str, when: float) -> Sequence[Kept]:
    batches, results = tables.result_batch, tables.result
    later = (batches.c.batch_id == batch_id) & (batches.c.archived.is_(None) | (batches.c.archived < when))
    connection.execute(update(batches).where(later).values(archived=when))
    found = _releasable(connection, _batches(batches.c.batch_id == batch_id).correlate(results).exists())
    return [*found, *released_parts.releasable(connection, batch_id=batch_id)]


def _releasable(connection: Connection, wanted: ColumnElement[bool]) -> Sequence[Kept]:
    """Of the ``wanted`` results those whose bytes nobody needs any longer.

    Every batch is archived; and where a plan was started anew since, which is not told to be archived again, what it
    was started for can be sealed from a copy.
    """
    results, archived = tables.result, tables.result_batch.c.archived
    waiting = _batches(archived.is_(None)).correlate(results).exists()
    before = _batches(archived <= results.c.asked).correlate(results).exists()
    settled = ~before | copies.has_proven(results.c.pack_id)
    rows = connection.execute(select(results).where(wanted, results.c.released.is_(False), ~waiting, settled)).all()
    return [_result(row.document, row.released) for row in rows]


def _batches(condition: ColumnElement[bool]) -> Select[Any]:
    """The batches of a result for which ``condition`` holds."""
    batches, results = tables.result_batch.c, tables.result.c
    same = (batches.source_pack_id == results.source_pack_id) & (batches.project == results.project)
    return select(batches.batch_id).where(same, condition)
