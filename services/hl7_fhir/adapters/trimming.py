"""Lets go of the old part of the feed of changes, which nobody reads any more."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, select

from services.hl7_fhir.adapters.dispatch import READER
from services.hl7_fhir.adapters.subscription_rows import newest_change
from services.hl7_fhir.adapters.subscription_tables import subscription_feed, subscriptions
from services.hl7_fhir.adapters.tables import changes
from services.hl7_fhir.domain.subscriptions.subscription import Status
from shared.errors import RetryLater
from shared.sql import Database

#: Changes that one transaction lets go.
_PORTION = 500
#: Seconds between two looks at what is old.
_LOOK_EVERY = 600.0


class Trimming:
    """Changes are kept for ``keep`` seconds, and longer until every subscription has heard of them."""

    def __init__(self, database: Database, keep: float, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._keep = keep
        self._clock = clock

    async def run(self) -> None:
        """For as long as the service lives: a Task."""
        while True:
            with suppress(RetryLater):
                while await self.trim():
                    pass
            await asyncio.sleep(_LOOK_EVERY)

    async def trim(self, portion: int = _PORTION) -> bool:
        """Let go of some; whether there may be more."""
        oldest = datetime.fromtimestamp(self._clock() - self._keep, UTC)
        return await self._database.run(lambda connection: _trim(connection, oldest, portion)) == portion


def _trim(connection: Connection, oldest: datetime, portion: int) -> int:
    """How many went. The newest stays whatever its age: the feed goes on from its number."""
    first = select(changes.c.number, changes.c.updated).where(changes.c.number < _heard(connection))
    rows = connection.execute(first.order_by(changes.c.number).limit(portion)).all()
    old = [row.number for row in rows if _utc(row.updated) < oldest]
    if old:
        connection.execute(delete(changes).where(changes.c.number.in_(old)))
    return len(old)


def _heard(connection: Connection) -> int:
    """The number of the last change that no subscription will ask for."""
    listening = select(subscriptions.c.id).where(subscriptions.c.status != Status.OFF.value).limit(1)
    newest = newest_change(connection)
    if connection.execute(listening).first() is None:
        return newest
    position = select(subscription_feed.c.position).where(subscription_feed.c.reader == READER)
    return min(newest, connection.execute(position).scalar_one())


def _utc(moment: datetime) -> datetime:
    """SQLite keeps no time zone: what was written was UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
