"""FHIR resources in SQL: the present version, every earlier one, and what they are searched by."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    literal,
    select,
    tuple_,
    update,
)

from services.hl7_fhir.adapters import indexing
from services.hl7_fhir.adapters.resource_writes import Version, put, settle
from services.hl7_fhir.adapters.rows import stored
from services.hl7_fhir.adapters.searching import search
from services.hl7_fhir.adapters.tables import resources, versions
from services.hl7_fhir.domain.clinical import record as records
from services.hl7_fhir.domain.clinical.record import Record
from services.hl7_fhir.domain.fhir.conditions import Search
from services.hl7_fhir.domain.fhir.documents import Stored
from services.hl7_fhir.domain.fhir.found import Page, Versions
from services.hl7_fhir.domain.fhir.indexing import rows
from shared.errors import RetryLater
from shared.sql import Database


class Change(Enum):
    """What saving did: nothing to be seen, and from an older message; or nothing; or a new or first version."""

    STALE = "stale"
    NONE = "none"
    CHANGED = "changed"
    CREATED = "created"


@dataclass(frozen=True)
class Present:
    """A resource as the messages left it; ``number`` is its own in the search index."""

    version: int
    record: Record
    body: Mapping[str, Any]
    patient: str | None
    number: int
    message_ref: str


def load(connection: Connection, kind: str, resource_id: str) -> Present | None:
    """The resource as now known, None when there is none."""
    settle(connection, [(kind, resource_id)])
    found = connection.execute(_ONE, {"kind": kind, "named": resource_id}).one_or_none()
    return _present(found) if found is not None else None


def load_many(connection: Connection, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], Present]:
    """Those of ``wanted``, (type, id) each, that there are, in one statement."""
    settle(connection, wanted)
    kinds, ids = sorted({kind for kind, _ in wanted}), sorted({one for _, one in wanted})
    found = connection.execute(_MANY, {"kinds": kinds, "ids": ids})
    return {(row.type, row.id): _present(row) for row in found}


#: Statements of every message, built once.
_ONE = select(resources).where(resources.c.type == bindparam("kind"), resources.c.id == bindparam("named"))
_MANY = select(resources).where(
    resources.c.type.in_(bindparam("kinds", expanding=True)), resources.c.id.in_(bindparam("ids", expanding=True))
)


def _present(found: Row[Any]) -> Present:
    known, body = records.load(found.record), json.loads(found.body)
    return Present(found.version, known, body, found.patient, found.number, found.message_ref)


def save(
    connection: Connection,
    *,
    kind: str,
    resource_id: str,
    before: Present | None,
    record: Record,
    body: Mapping[str, Any],
    patient: str | None,
    message_ref: str,
    now: datetime,
) -> Change:
    """Write the resource, ``before`` as ``load`` gave it; a new version only when a reader can see a difference.

    A resource that no message's fields make has an empty ``record``; then ``body`` alone says whether it is stale.
    """
    if before and before.record == record and (record or before.body == body):
        return Change.STALE
    return write_version(
        connection,
        kind=kind,
        resource_id=resource_id,
        before=before,
        record=record,
        body=body,
        patient=patient,
        message_ref=message_ref,
        now=now,
    )


def write_version(
    connection: Connection,
    *,
    kind: str,
    resource_id: str,
    before: Present | None,
    record: Record,
    body: Mapping[str, Any],
    patient: str | None,
    message_ref: str,
    now: datetime,
) -> Change:
    """Write the resource whatever the age of what says so; a new version when ``body`` differs."""
    known = records.dump(record)
    if before and before.body == body:
        settle(connection, [(kind, resource_id)])
        connection.execute(_KNOWN, {"of_number": before.number, "new_record": known, "new_patient": patient})
        return Change.NONE
    version = Version.of(
        body,
        kind=kind,
        resource_id=resource_id,
        number=before.number if before else None,
        version=before.version + 1 if before else 1,
        updated=now,
        message_ref=message_ref,
        record=known,
        patient=patient,
        before=rows(kind, before.body) if before else indexing.NOTHING,
        now=rows(kind, body),
    )
    put(connection, version)
    return Change.CHANGED if before else Change.CREATED


_KNOWN = (
    update(resources)
    .where(resources.c.number == bindparam("of_number"))
    .values(record=bindparam("new_record"), patient=bindparam("new_patient"))
)


class SqlResources:
    """The resources of a database, read only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_indexed = False

    async def read(self, kind: str, resource_id: str, version: int | None = None) -> Stored | None:
        """The present version, or an earlier one."""
        table = resources if version is None else versions
        wanted = select(table).where(table.c.type == kind, table.c.id == resource_id)
        if version is not None:
            wanted = wanted.where(versions.c.version == version)
        found = await self._database.read(lambda connection: connection.execute(wanted).one_or_none())
        return stored(found) if found is not None else None

    async def history(
        self, kind: str, resource_id: str | None, *, since: datetime | None, count: int, after: tuple[Any, ...] | None
    ) -> Versions:
        """Versions of a resource, or of all of ``kind``, the newest first; ``after`` is where a page before ended:
        the time, id and version of its last one."""
        wanted = _history(kind, resource_id, since, after).limit(count + 1)
        found = await self._database.read(lambda connection: connection.execute(wanted).all())
        shown = tuple(stored(row) for row in found[:count])
        return Versions(shown, shown[-1] if len(found) > count and shown else None)

    async def search(self, asked: Search) -> Page:
        """A page of those that match; RetryLater while the index is being made."""
        return await self._database.read(lambda connection: self._search(connection, asked))

    def _search(self, connection: Connection, asked: Search) -> Page:
        if not self._is_indexed:
            self._is_indexed = indexing.is_complete(connection)
        if not self._is_indexed:
            raise RetryLater("index-being-made")
        return search(connection, asked)


def _history(kind: str, resource_id: str | None, since: datetime | None, after: tuple[Any, ...] | None) -> Select[Any]:
    wanted = select(versions).where(versions.c.type == kind)
    order: tuple[Column[Any], ...] = (versions.c.updated, versions.c.id, versions.c.version)
    if resource_id is not None:
        wanted = wanted.where(versions.c.id == resource_id)
        order = (versions.c.version,)
    if since is not None:
        wanted = wanted.where(versions.c.updated >= since)
    if after is not None:
        last = dict(zip(("updated", "id", "version"), after, strict=True))
        ends = tuple_(*(literal(last[column.name], column.type) for column in order))
        wanted = wanted.where(and_(order[0] <= last[order[0].name], tuple_(*order) < ends))
    return wanted.order_by(*(column.desc() for column in order))
