"""Lets go of versions of resources that newer ones have taken the place of, where the site wants that."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, func, select, tuple_

from services.hl7_fhir.adapters.subscription_tables import subscription_events
from services.hl7_fhir.adapters.tables import changes, versions
from services.hl7_fhir.domain.fhir.parameters import KINDS
from shared.sql import Database

#: Versions that are looked at together, and seconds between two such looks.
_PORTION = 500
_BREATH = 0.05

_NEWER = versions.alias()
_KEY = (versions.c.updated, versions.c.id, versions.c.version)
_GONE = delete(versions).where(
    versions.c.type == bindparam("of_type"), versions.c.id == bindparam("of_id"), versions.c.version == bindparam("of")
)


class Superseded:
    """Goes through all versions that are old. The present version of a resource stays whatever its age."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove(self, before: datetime, portion: int = _PORTION, breath: float = _BREATH) -> int:
        """Remove those in whose place there was a newer one ``before`` that time; how many."""
        heard = await self._database.read(unheard)
        before, count = min([before, *heard]), 0
        for kind in KINDS:
            after: Row[Any] | None = None
            while rows := await self._database.read(partial(_some, kind, before, after, portion)):
                after = rows[-1]
                if gone := [_named(row) for row in rows if row.is_superseded]:
                    await self._database.run(partial(_remove, gone))
                    count += len(gone)
                await asyncio.sleep(breath)
        return count


def unheard(connection: Connection) -> list[datetime]:
    """Since when subscribers may still ask for versions, and those before them."""
    oldest = (select(func.min(changes.c.updated)), select(func.min(subscription_events.c.at)))
    found = [connection.execute(each).scalar_one() for each in oldest]
    return [each if each.tzinfo else each.replace(tzinfo=UTC) for each in found if each is not None]


def _some(kind: str, before: datetime, after: Row[Any] | None, portion: int, connection: Connection) -> list[Row[Any]]:
    newer = exists().where(
        _NEWER.c.type == versions.c.type,
        _NEWER.c.id == versions.c.id,
        _NEWER.c.version > versions.c.version,
        _NEWER.c.updated < before,
    )
    wanted = select(versions.c.type, *_KEY, newer.label("is_superseded"))
    wanted = wanted.where(versions.c.type == kind, versions.c.updated < before)
    if after is not None:
        wanted = wanted.where(tuple_(*_KEY) > tuple_(after.updated, after.id, after.version))
    return list(connection.execute(wanted.order_by(*_KEY).limit(portion)).all())


def _remove(gone: list[dict[str, Any]], connection: Connection) -> None:
    connection.execute(_GONE, gone)


def _named(row: Row[Any]) -> dict[str, Any]:
    return {"of_type": row.type, "of_id": row.id, "of": row.version}
