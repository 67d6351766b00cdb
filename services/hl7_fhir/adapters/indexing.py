"""Writes the search index: what changed in it, in few statements, and the whole of it anew after an upgrade."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Table, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.hl7_fhir.adapters.search_tables import dates, state, strings, tokens
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain.fhir import parameters
from services.hl7_fhir.domain.fhir.indexing import Rows, rows
from shared.errors import RetryLater
from shared.observability import logger
from shared.sql import Database, StatementRefused

_FIELDS = {
    tokens: ("parameter", "value", "system"),
    strings: ("parameter", "value", "exact"),
    dates: ("parameter", "width", "low", "high"),
}
_BATCH = 500
_PAUSE = 1.0
#: Raised when rows are made otherwise than before, so that what older versions wrote is written again.
_EDITION = 1

NOTHING = Rows()

log = logger("causeway.search")


def definitions() -> str:
    """A digest of the search parameters by which the index is made."""
    known = [parameter for kind in parameters.KINDS for parameter in parameters.indexed(kind)]
    return hashlib.sha256(f"{_EDITION} {known!r}".encode()).hexdigest()


def write(connection: Connection, changed: Sequence[tuple[int, Rows, Rows]]) -> None:
    """Let the index hold of each resource, by its number, the second rows instead of the first: what differs is
    written.
    """
    for table in _FIELDS:
        gone: list[dict[str, Any]] = []
        added: list[dict[str, Any]] = []
        for number, before, now in changed:
            old, new = _part(before, table), _part(now, table)
            gone += _records(table, number, old - new, prefix="old_")
            added += _records(table, number, new - old)
        if gone:
            connection.execute(_DELETES[table], gone)
        if added:
            connection.execute(_insert(connection, table), added)


def remove(connection: Connection, found: Sequence[Row[Any]]) -> None:
    """Take resources out of the index: rows with ``number``, ``type``, ``id`` and ``body``."""
    read = ((row.number, _read(row)) for row in found)
    write(connection, [(number, one, NOTHING) for number, one in read if one is not None])


def _records(table: Table, number: int, found: Any, prefix: str = "") -> list[dict[str, Any]]:
    names = [prefix + name for name in _FIELDS[table]]
    return [{prefix + "number": number, **dict(zip(names, row, strict=True))} for row in sorted(found)]


def _delete(table: Table) -> Any:
    names = (*_FIELDS[table], "number")
    return delete(table).where(and_(*(table.c[name] == bindparam(f"old_{name}") for name in names)))


_DELETES = {table: _delete(table) for table in _FIELDS}
#: A row may be there already: while the index is made anew, its rows come from two sides.
_INSERTS: dict[str, dict[Table, Any]] = {
    "sqlite": {table: sqlite.insert(table).on_conflict_do_nothing() for table in _FIELDS},
    "postgresql": {table: postgresql.insert(table).on_conflict_do_nothing() for table in _FIELDS},
}


def _insert(connection: Connection, table: Table) -> Any:
    return _INSERTS[connection.dialect.name][table]


class Index:
    """The search index as a whole: whether it is complete, and how it becomes so."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def build(self) -> None:
        """Index what was written by older versions, in steps; what is saved meanwhile indexes itself."""
        todo = await self._patiently(_prepare)
        while todo:
            try:
                todo = await self._patiently(_step)
            except StatementRefused:
                todo = await self._one_by_one()

    async def _one_by_one(self) -> bool:
        """Of resources one of which the database refuses, index the others; whether something is left to do."""
        for _ in range(_BATCH):
            try:
                todo = await self._patiently(partial(_step, most=1))
            except StatementRefused:
                todo = await self._patiently(_skip)
            if not todo:
                return False
        return True

    async def _patiently(self, work: Callable[[Connection], bool]) -> bool:
        while True:
            try:
                return await self._database.run(work)
            except RetryLater:
                await asyncio.sleep(_PAUSE)


def is_complete(connection: Connection) -> bool:
    """Whether every resource is indexed by the parameters that this version knows."""
    found = connection.execute(select(state)).one_or_none()
    return found is None or (found.definitions == definitions() and found.done >= found.upto)


def _prepare(connection: Connection) -> bool:
    """Whether something is left to do; an index of other definitions is thrown away."""
    found = connection.execute(select(state).with_for_update()).one_or_none()
    if found is None:
        connection.execute(insert(state).values(only=0, definitions=definitions(), done=0, upto=0))
        return False
    if found.definitions != definitions():
        for table in _FIELDS:
            table.drop(connection)
            table.create(connection)
        upto = connection.execute(select(func.coalesce(func.max(resources.c.number), 0))).scalar_one()
        connection.execute(update(state).values(definitions=definitions(), done=0, upto=upto))
        return bool(upto)
    return bool(found.done < found.upto)


def _step(connection: Connection, most: int = _BATCH) -> bool:
    """Index the next resources, but none that no rows can be made of; False when none are left."""
    at, found = _next(connection, most)
    read = ((row.number, _read(row)) for row in found)
    _index(connection, {number: one for number, one in read if one is not None})
    return _done(connection, at, found[-1].number if len(found) == most else at.upto)


def _skip(connection: Connection) -> bool:
    """Leave the next resource out of the index; False when none are left."""
    at, found = _next(connection, 1)
    for row in found:
        _left_out(row, StatementRefused)
    return _done(connection, at, found[-1].number if found else at.upto)


def _next(connection: Connection, most: int) -> tuple[Row[Any], Sequence[Any]]:
    at = connection.execute(select(state).with_for_update()).one()
    wanted = select(resources.c.number, resources.c.type, resources.c.id, resources.c.body)
    wanted = wanted.where(resources.c.number > at.done, resources.c.number <= at.upto).order_by(resources.c.number)
    return at, connection.execute(wanted.limit(most).with_for_update()).all()


def _done(connection: Connection, at: Row[Any], done: int) -> bool:
    connection.execute(update(state).values(done=done))
    return bool(done < at.upto)


def _read(row: Any) -> Rows | None:
    """The rows of one resource. What an older version stored may be anything."""
    try:
        return rows(row.type, json.loads(row.body))
    except Exception as error:  # whatever it is, it must not end the service at every start
        _left_out(row, type(error))
        return None


def _left_out(row: Any, error: type[Exception]) -> None:
    log.error("resource-not-indexed", resource=row.type.lower(), ref=row.id, sequence=row.number, error=error.__name__)


def _index(connection: Connection, found: Mapping[int, Rows]) -> None:
    for table in _FIELDS:
        records = [record for number, one in found.items() for record in _records(table, number, _part(one, table))]
        if records:
            connection.execute(_insert(connection, table), records)
    masks = [{"at": number, "mask": one.present} for number, one in found.items()]
    if masks:
        marked = update(resources).where(resources.c.number == bindparam("at")).values(present=bindparam("mask"))
        connection.execute(marked, masks)


def _part(found: Rows, table: Table) -> Any:
    return {tokens: found.tokens, dates: found.dates, strings: found.strings}[table]
