"""Lets go of the Provenance of messages that are known no more: it tells of nothing that anybody could look up."""

import asyncio
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, Select, bindparam, delete, exists, select

from services.hl7_fhir.adapters import indexing
from services.hl7_fhir.adapters.feed_lock import lock_feed
from services.hl7_fhir.adapters.superseded import unheard
from services.hl7_fhir.adapters.tables import messages, resources, versions
from shared.sql import Database

_KIND = "Provenance"
_PRESENT = delete(resources).where(resources.c.number == bindparam("of_number"))
_PAST = delete(versions).where(versions.c.type == _KIND, versions.c.id == bindparam("of_id"))


class PastProvenance:
    """Goes through those that messages made (a client's own has no record), the oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove(self, before: datetime, portion: int, breath: float) -> int:
        """Remove those from ``before`` that time whose message is gone, with all that is searched by; how many.

        What subscribers may still ask for stays.
        """
        before, count = min([before, *await self._database.read(unheard)]), 0
        found = _found(before, portion)
        while await self._database.read(lambda connection: connection.execute(found.limit(1)).all()):
            count += await self._database.run(partial(_remove, found))
            await asyncio.sleep(breath)
        return count


def _found(before: datetime, most: int) -> Select[tuple[int, str, str, str]]:
    is_known = exists(select(messages.c.ref).where(messages.c.ref == resources.c.message_ref))
    wanted = select(resources.c.number, resources.c.type, resources.c.id, resources.c.body)
    wanted = wanted.where(
        resources.c.type == _KIND, resources.c.updated < before, resources.c.record != "{}", ~is_known
    )
    return wanted.order_by(resources.c.updated, resources.c.number).limit(most)


def _remove(found: Select[tuple[int, str, str, str]], connection: Connection) -> int:
    lock_feed(connection)
    rows = connection.execute(found).all()
    if rows:
        indexing.remove(connection, rows)
        connection.execute(_PRESENT, [{"of_number": row.number} for row in rows])
        connection.execute(_PAST, [{"of_id": row.id} for row in rows])
    return len(rows)
