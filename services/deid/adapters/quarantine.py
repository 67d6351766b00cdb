"""What is withheld and what was decided of it, in SQL; decisions are journalled as well."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, update

from contracts.events import Event
from contracts.formats.manifest import Instance
from services.deid.adapters import released_parts, tables
from services.deid.adapters.identity_map import SqlIdentityMap
from services.deid.adapters.recalls import refuse_recalled
from services.deid.domain.facts import Result
from services.deid.domain.looking.scanner import Finding
from services.deid.domain.names import Names, parse_studies
from services.deid.domain.packing import CleanPack
from services.deid.domain.part10 import Project
from services.deid.domain.quarantine import FINAL, Entry, Ruling, State
from shared.messaging.outbox import Outbox
from shared.sql import Database

_AT_ONCE = 500


def studies_of(source_pack_id: str) -> str:
    """What the names of a pack's studies are sealed about."""
    return f"studies of {source_pack_id}"


class SqlQuarantine:
    """The quarantine in ``database``; ``identities`` keeps the journal and what reasons are sealed with."""

    def __init__(self, database: Database, outbox: Outbox, identities: SqlIdentityMap) -> None:
        self._database = database
        self._outbox = outbox
        self._identities = identities

    async def listed(self, state: str | None, project: str | None, limit: int, offset: int) -> tuple[int, list[Entry]]:
        table = tables.withheld
        wanted = [column == value for column, value in ((table.c.state, state), (table.c.project, project)) if value]
        order = (table.c.since, table.c.study_ref, table.c.sop_instance_uid)

        def work(connection: Connection) -> tuple[int, list[Entry]]:
            total = connection.execute(select(func.count()).select_from(table).where(*wanted)).scalar_one()
            rows = connection.execute(select(table).where(*wanted).order_by(*order).limit(limit).offset(offset))
            return total, [_entry(row) for row in rows]

        return await self._database.read(work)

    async def entry(self, entry_id: str) -> Entry | None:
        mine = select(tables.withheld).where(tables.withheld.c.entry == entry_id)
        row = await self._database.read(lambda connection: connection.execute(mine).first())
        return _entry(row) if row else None

    async def rulings(self, entry: Entry) -> Sequence[Ruling]:
        return await self._database.run(
            lambda connection: self._identities.rulings(connection, entry.project, entry.id)
        )

    async def plan_of(self, entry: Entry) -> Result | None:
        table = tables.result.c
        mine = select(table.document).where(
            table.source_pack_id == entry.source_pack_id, table.project == entry.project
        )
        document = await self._database.read(lambda connection: connection.execute(mine).scalar())
        return Result.model_validate_json(document) if document else None

    async def studies_of(self, entry: Entry) -> Mapping[str, Names]:
        table = tables.result.c
        mine = select(table.studies).where(table.source_pack_id == entry.source_pack_id, table.project == entry.project)

        def work(connection: Connection) -> bytes | None:
            sealed = connection.execute(mine).scalar()
            about = studies_of(entry.source_pack_id)
            return self._identities.unseal(connection, entry.project, about, sealed) if sealed else None

        document = await self._database.run(work)
        return parse_studies(document) if document else {}

    async def decide(self, entry: Entry, ruling: Ruling, found: Entry | None = None) -> bool:
        def work(connection: Connection) -> bool:
            if not _claim(connection, entry, ruling, found):
                return False
            self._identities.rule(connection, entry.project, ruling)
            return True

        done = await self._database.run(work)
        await self._identities.flush()
        return done

    async def let_go(self, entry: Entry, ruling: Ruling, project: Project, pack: CleanPack, result: Result) -> bool:
        def work(connection: Connection) -> bool:
            table = tables.result
            mine = (table.c.source_pack_id == entry.source_pack_id, table.c.project == entry.project)
            connection.execute(select(table.c.pack_id).where(*mine).with_for_update()).first()
            refuse_recalled(connection, project, entry.study_ref, result.release)
            if not _claim(connection, entry, ruling, None):
                return False
            self._identities.rule(connection, entry.project, ruling)
            self._identities.add(connection, project.name, entry.source_pack_id, pack.identities())
            released_parts.add(connection, entry, ruling.told, result)
            return True

        done = await self._database.run(work)
        await self._identities.flush()
        return done

    async def untold(self) -> Sequence[tuple[Entry, int, Result]]:
        part, table = tables.part, tables.withheld
        joined = select(part.c.part, part.c.document, table).join_from(part, table, table.c.entry == part.c.entry)
        query = joined.where(part.c.told.is_(False)).order_by(part.c.asked, part.c.part)

        def work(connection: Connection) -> list[tuple[Entry, int, Result]]:
            rows = connection.execute(query).all()
            return [(_entry(row), row.part, Result.model_validate_json(row.document)) for row in rows]

        return await self._database.read(work)

    async def tell(self, result: Result, event_id: str, fact: Event) -> None:
        table = tables.part

        def work(connection: Connection) -> None:
            connection.execute(update(table).where(table.c.pack_id == result.pack_id).values(told=True))
            self._outbox.add(connection, fact, id=event_id)

        # Nothing is told of before it is in the journal who is in it.
        await self._identities.flush()
        await self._database.run(work)

    async def overdue(self, before: float) -> Sequence[Entry]:
        table = tables.withheld
        return await self._some((table.c.state == State.WAITING.value) & (table.c.since < before))

    async def unwanted(self) -> Sequence[Entry]:
        table, other = tables.withheld, tables.withheld.alias("other")
        shared = select(other.c.entry).where(other.c.blob_key == table.c.blob_key, other.c.state == State.WAITING.value)
        decided = table.c.state.in_([state.value for state in FINAL]) & table.c.bytes_gone.is_(False)
        return await self._some(decided & ~shared.correlate(table).exists())

    async def bytes_gone(self, entry: Entry) -> None:
        table = tables.withheld
        gone = update(table).where(table.c.blob_key == entry.blob_key).values(bytes_gone=True)
        await self._database.run(lambda connection: connection.execute(gone))

    async def _some(self, wanted: ColumnElement[bool]) -> list[Entry]:
        query = select(tables.withheld).where(wanted).order_by(tables.withheld.c.since).limit(_AT_ONCE)
        return await self._database.read(lambda connection: [_entry(row) for row in connection.execute(query)])


def settle(connection: Connection, mine: ColumnElement[bool]) -> None:
    """Let entries that were withheld again be as they were decided: their bytes, put anew, are to go once more."""
    table, verdict = tables.withheld, tables.verdict
    decided = {
        row.entry: row.state
        for row in connection.execute(
            select(verdict.c.entry, verdict.c.state)
            .join_from(verdict, table, table.c.entry == verdict.c.entry)
            .where(mine, verdict.c.state != State.WAITING.value)
        )
    }
    for entry, state in decided.items():
        connection.execute(update(table).where(table.c.entry == entry).values(state=state, bytes_gone=False))


def _claim(connection: Connection, entry: Entry, ruling: Ruling, found: Entry | None) -> bool:
    """Take an entry that waits, as its decision leaves it; False when it does not wait any more."""
    table = tables.withheld
    values: dict[str, Any] = {"state": ruling.state}
    if found is not None:
        values |= {"reason": found.reason, "findings": json.dumps(found.findings)}
    mine = (table.c.entry == entry.id, table.c.state == State.WAITING.value)
    return bool(connection.execute(update(table).where(*mine).values(values)).rowcount)


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        id=row.entry,
        source_pack_id=row.source_pack_id,
        project=row.project,
        study_ref=row.study_ref,
        sop_instance_uid=row.sop_instance_uid,
        dataset_sha256=row.dataset_sha256,
        reason=row.reason,
        state=State(row.state),
        since=row.since,
        size=row.size,
        blob_key=row.blob_key,
        findings=tuple(Finding(*each) for each in json.loads(row.findings)),
        instance=Instance.model_validate_json(row.instance) if row.instance else None,
    )
