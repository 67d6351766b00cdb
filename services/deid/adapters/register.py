"""Results, identities, quarantine and proven copies, in SQL."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from contracts.events import CopyKey, Event, PackPlanned
from services.deid.adapters import tables
from services.deid.adapters.work_area import quarantine_key
from services.deid.domain.documents import Identity
from services.deid.domain.facts import Result
from services.deid.domain.packing import CleanPack
from services.deid.domain.part10 import Project
from shared.messaging.outbox import Outbox
from shared.sql import Database

#: Rows in one statement.
_AT_ONCE = 1500


class SqlRegister:
    """The register in ``database``; what is told goes through ``outbox``."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def find(self, source_pack_id: str, project: str) -> Result | None:
        table = tables.result.c
        query = select(table.document, table.released).where(
            (table.source_pack_id == source_pack_id) & (table.project == project)
        )
        row = await self._database.read(lambda connection: connection.execute(query).first())
        return _result(row.document, row.released) if row else None

    async def record(self, event: PackPlanned, project: Project, pack: CleanPack, result: Result) -> None:
        await self._database.run(lambda connection: _record(connection, event, project, pack, result))

    async def ran(self, source_pack_id: str, project: str, result: Result, run: int) -> None:
        table = tables.result
        mine = (table.c.source_pack_id == source_pack_id) & (table.c.project == project)
        document = result.model_copy(update={"run": run}).model_dump_json()
        await self._database.run(
            lambda connection: connection.execute(update(table).where(mine).values(document=document))
        )

    async def tell(self, facts: Sequence[tuple[str, Event]]) -> None:
        def add(connection: Connection) -> None:
            for event_id, fact in facts:
                self._outbox.add(connection, fact, id=event_id)

        await self._database.run(add)

    async def archived(self, batch_id: str) -> Sequence[tuple[str, str, Result]]:
        return await self._database.run(lambda connection: _archived(connection, batch_id))

    async def released(self, source_pack_id: str, project: str) -> None:
        table = tables.result
        mine = (table.c.source_pack_id == source_pack_id) & (table.c.project == project)
        await self._database.run(lambda connection: connection.execute(update(table).where(mine).values(released=True)))

    async def copy_proven(self, copy: CopyKey) -> None:
        row = {
            "sealed_id": copy.sealed_id,
            "target": copy.target,
            "generation": copy.generation,
            "pack_id": copy.pack_id,
            "document": copy.model_dump_json(),
        }
        await self._database.run(lambda connection: _insert(connection, tables.proven_copy, [row]))

    async def copy_lost(self, copy: CopyKey) -> None:
        table = tables.proven_copy
        mine = (
            (table.c.sealed_id == copy.sealed_id)
            & (table.c.target == copy.target)
            & (table.c.generation == copy.generation)
        )
        await self._database.run(lambda connection: connection.execute(delete(table).where(mine)))

    async def proven_copies(self, pack_id: str) -> Sequence[CopyKey]:
        """The proven identified copies of a pack, the newest generation first."""
        table = tables.proven_copy.c
        query = select(table.document).where(table.pack_id == pack_id).order_by(table.generation.desc(), table.target)
        found = await self._database.read(lambda connection: connection.execute(query).scalars().all())
        return [CopyKey.model_validate_json(document) for document in found]

    async def quarantine(self) -> Sequence[dict[str, Any]]:
        """Every withheld instance: UIDs, digests and reasons, no value from a header."""
        columns = [column for column in tables.withheld.c if column.name != "blob_key"]
        query = select(*columns).order_by(tables.withheld.c.study_ref, tables.withheld.c.sop_instance_uid)
        return await self._database.read(lambda connection: [dict(row) for row in connection.execute(query).mappings()])


def _result(document: str, released: bool) -> Result:
    return Result.model_validate_json(document).model_copy(update={"released": released})


def _insert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows whose key is new; the first word counts."""
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    unique = list(rows)
    if unique:
        connection.execute(insert(table).on_conflict_do_nothing(), unique)


def _record(connection: Connection, event: PackPlanned, project: Project, pack: CleanPack, result: Result) -> None:
    mine = {"source_pack_id": event.pack_id, "project": project.name}
    for table in (tables.result, tables.result_batch):
        connection.execute(
            delete(table).where((table.c.source_pack_id == event.pack_id) & (table.c.project == project.name))
        )
    row = {"edition": project.rules.edition, "released": False, "document": result.model_dump_json()}
    _insert(connection, tables.result, [mine | row])
    _insert(
        connection,
        tables.result_batch,
        [mine | {"batch_id": batch.batch_id, "archived": False} for batch in event.batches],
    )
    _insert(connection, tables.withheld, [mine | row for row in _withheld(event, project, pack)])
    for rows in _identities(project, pack.identities()):
        _insert(connection, tables.identity, rows)


def _withheld(event: PackPlanned, project: Project, pack: CleanPack) -> Iterable[dict[str, Any]]:
    for held in pack.held:
        yield {
            "sop_instance_uid": held.sop_instance_uid,
            "dataset_sha256": held.dataset_sha256,
            "study_ref": event.study_ref,
            "reason": held.reason.value,
            "blob_key": quarantine_key(project, held),
            "size": held.span.length,
        }


def _identities(project: Project, found: Iterator[Identity]) -> Iterator[list[dict[str, Any]]]:
    """Who became whom: rows for each patient, study and series, so many at a time."""
    while some := dict.fromkeys(islice(found, _AT_ONCE)):
        yield [
            {
                "project": project.name,
                "kind": one.kind,
                "token": project.key.token(f"identity-{one.kind}", one.issuer, one.original, one.replacement),
                "issuer": one.issuer,
                "original": one.original,
                "replacement": one.replacement,
            }
            for one in some
        ]


def _archived(connection: Connection, batch_id: str) -> list[tuple[str, str, Result]]:
    batches, results = tables.result_batch, tables.result
    connection.execute(update(batches).where(batches.c.batch_id == batch_id).values(archived=True))
    same = (batches.c.source_pack_id == results.c.source_pack_id) & (batches.c.project == results.c.project)
    mine = select(results).join(batches, same).where((batches.c.batch_id == batch_id) & results.c.released.is_(False))
    waiting = select(batches.c.batch_id).where(same & batches.c.archived.is_(False)).correlate(results).exists()
    rows = connection.execute(mine.where(~waiting)).all()
    return [(row.source_pack_id, row.project, _result(row.document, row.released)) for row in rows]
