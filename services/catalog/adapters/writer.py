"""The one writer of the studies' life cycle: a lease tells who it is, an outbox carries what it says."""

import uuid
from collections.abc import Sequence

from sqlalchemy import Connection

from services.catalog.adapters import studies
from services.catalog.adapters.lease import Lease, acquire, holds
from services.catalog.adapters.summaries import summary
from services.catalog.adapters.tables import lease
from services.catalog.domain.lifecycle import Step
from services.catalog.domain.telling import Due, Word, event_of
from shared.identity import SiteKey
from shared.messaging.outbox import Outbox
from shared.sql.database import Database

_LEASE = "study-life-cycle"
_LEASE_SECONDS = 15.0


class LeasedStudies:
    """The studies of the index, for whichever process holds the lease."""

    def __init__(self, *, database: Database, outbox: Outbox, site_key: SiteKey) -> None:
        self._database = database
        self._outbox = outbox
        self._site_key = site_key
        self._holder = uuid.uuid4().hex
        self._held: Lease | None = None

    async def due(self) -> Sequence[Due]:
        """What is due; nothing while another process holds the lease."""
        self._held = await self._database.run(lambda c: acquire(c, lease, _LEASE, self._holder, _LEASE_SECONDS))
        return [] if self._held is None else await self._database.read(studies.candidates)

    async def newest_event(self) -> float:
        """The newest event time in the index, seconds since 1970."""
        return await self._database.read(studies.newest_event)

    async def summary(self, due: Due) -> bytes:
        """The document behind the claim check."""
        return await self._database.read(lambda connection: summary(connection, due))

    async def say(self, word: Word) -> bool:
        """Say it, unless the study changed meanwhile; False when the lease is lost."""
        return await self._database.run(lambda connection: self._say(connection, word))

    def _say(self, connection: Connection, word: Word) -> bool:
        if self._held is None or not holds(connection, lease, self._held):
            return False
        due = word.due
        if not studies.advance(connection, due, word.step, word.now):
            return True
        if word.step is Step.ARCHIVE:
            copies = studies.proven_copies(connection, due.study_uid)
            event = event_of(word, copies, studies.withheld_count(connection, due.study_uid))
        else:
            event = event_of(word)
        name = self._site_key.event_id(event.subject, due.study_uid, word.step.value, due.revision)
        self._outbox.add(connection, event, id=name)
        return True
