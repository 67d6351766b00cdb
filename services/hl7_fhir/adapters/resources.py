"""FHIR resources in SQL: the present version, every earlier one, and what they are searched by."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, func, insert, or_, select, text, update

from services.hl7_fhir.adapters.tables import changes, identifiers, resources, versions
from services.hl7_fhir.domain import record as records
from services.hl7_fhir.domain.fhir import Stored
from services.hl7_fhir.domain.record import Record
from services.hl7_fhir.domain.search import Search
from shared.sql import Database

_MAX_INDEXED = 512
#: The first key of the advisory lock under which the feed is written (the second is 0).
FEED_LOCK = 2576


class Change(Enum):
    """What saving did: nothing to be seen, and from an older message; or nothing; or a new or first version."""

    STALE = "stale"
    NONE = "none"
    CHANGED = "changed"
    CREATED = "created"


@dataclass(frozen=True)
class Present:
    """A resource as the messages left it."""

    version: int
    record: Record
    body: Mapping[str, Any]
    patient: str | None


def load(connection: Connection, kind: str, resource_id: str) -> Present | None:
    """The resource as now known, None when there is none."""
    found = connection.execute(
        select(resources).where(resources.c.type == kind, resources.c.id == resource_id)
    ).one_or_none()
    return _present(found) if found is not None else None


def load_many(connection: Connection, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], Present]:
    """Those of ``wanted``, (type, id) each, that there are, in one statement."""
    kinds, ids = sorted({kind for kind, _ in wanted}), sorted({one for _, one in wanted})
    found = connection.execute(_MANY, {"kinds": kinds, "ids": ids})
    return {(row.type, row.id): _present(row) for row in found}


_MANY = select(resources).where(
    resources.c.type.in_(bindparam("kinds", expanding=True)), resources.c.id.in_(bindparam("ids", expanding=True))
)


def _present(found: Row[Any]) -> Present:
    return Present(found.version, records.load(found.record), json.loads(found.body), found.patient)


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
    """Write the resource, ``before`` as ``load`` gave it; a new version only when a reader can see a difference."""
    if before and before.record == record:
        return Change.STALE
    values: dict[str, Any] = {"record": records.dump(record), "patient": patient}
    row = (resources.c.type == kind, resources.c.id == resource_id)
    if before and before.body == body:
        connection.execute(update(resources).where(*row).values(values))
        return Change.NONE
    values |= {
        "version": before.version + 1 if before else 1,
        "updated": now,
        "message_ref": message_ref,
        "body": json.dumps(body),
    }
    if before:
        connection.execute(update(resources).where(*row).values(values))
    else:
        connection.execute(insert(resources).values(values | {"type": kind, "id": resource_id}))
    seen = {name: values[name] for name in ("version", "updated", "message_ref", "body")}
    connection.execute(insert(versions).values(seen | {"type": kind, "id": resource_id}))
    _announce(connection, {"type": kind, "id": resource_id, "version": values["version"], "updated": now})
    _index(connection, kind, resource_id, body)
    return Change.CHANGED if before else Change.CREATED


def _announce(connection: Connection, change: Mapping[str, Any]) -> None:
    """Write to the feed. On PostgreSQL one transaction at a time, so that numbers become visible in their order."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:space, 0)"), {"space": FEED_LOCK})
    connection.execute(insert(changes).values(change))


def _index(connection: Connection, kind: str, resource_id: str, body: Mapping[str, Any]) -> None:
    connection.execute(delete(identifiers).where(identifiers.c.type == kind, identifiers.c.id == resource_id))
    known = {(named.get("system", ""), named.get("value", "")) for named in body.get("identifier", ())}
    rows = [
        {"type": kind, "id": resource_id, "system": system, "value": value}
        for system, value in sorted(known)
        if value and len(system) <= _MAX_INDEXED and len(value) <= _MAX_INDEXED
    ]
    if rows:
        connection.execute(insert(identifiers), rows)


class SqlResources:
    """The resources of a database, read only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, kind: str, resource_id: str, version: int | None = None) -> Stored | None:
        """The present version, or an earlier one."""
        table = resources if version is None else versions
        wanted = select(table).where(table.c.type == kind, table.c.id == resource_id)
        if version is not None:
            wanted = wanted.where(versions.c.version == version)
        found = await self._database.read(lambda connection: connection.execute(wanted).one_or_none())
        return _stored(found) if found is not None else None

    async def search(self, asked: Search) -> tuple[int, tuple[Stored, ...]]:
        """How many match, and a page of them, those that changed last first."""
        return await self._database.read(lambda connection: _search(connection, asked))


def _search(connection: Connection, asked: Search) -> tuple[int, tuple[Stored, ...]]:
    conditions = _conditions(asked)
    total = connection.execute(select(func.count()).select_from(resources).where(*conditions)).scalar_one()
    page = select(resources).where(*conditions).order_by(resources.c.updated.desc(), resources.c.id)
    found = connection.execute(page.limit(asked.count).offset(asked.offset)).all()
    return total, tuple(_stored(row) for row in found)


def _conditions(asked: Search) -> list[ColumnElement[bool]]:
    """Groups are joined by "and", the alternatives in a group by "or" (R4 section 3.1.1.5)."""
    named = [or_(*(_has_identifier(system, value) for system, value in group)) for group in asked.identifiers]
    return [
        resources.c.type == asked.kind,
        *(resources.c.id.in_(group) for group in asked.ids),
        *(resources.c.patient.in_(group) for group in asked.patients),
        *(
            resources.c.id.in_(select(identifiers.c.id).where(identifiers.c.type == asked.kind, anyone))
            for anyone in named
        ),
    ]


def _has_identifier(system: str | None, value: str) -> ColumnElement[bool]:
    same = identifiers.c.value == value
    return same if system is None else and_(same, identifiers.c.system == system)


def _stored(row: Row[Any]) -> Stored:
    updated = row.updated if row.updated.tzinfo else row.updated.replace(tzinfo=UTC)
    return Stored(row.type, row.id, row.version, updated, row.message_ref, json.loads(row.body))
