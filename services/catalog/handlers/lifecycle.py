"""The one writer of the studies' life cycle: looks at what is due, by event times, under a lease."""

import asyncio
import contextlib
import time
import uuid
from datetime import UTC, datetime

from sqlalchemy import Connection

from contracts.events import Blob, Event, Evidence, StudyArchived, StudyCompleted, StudyReceived, StudyRevised
from services.catalog.adapters import studies
from services.catalog.adapters.studies import Due
from services.catalog.adapters.tables import lease
from services.catalog.domain.lifecycle import Step, confidence, evidence, next_step
from services.catalog.ports import Backlog, Documents
from shared.errors import RetryLater
from shared.identity import SiteKey
from shared.messaging.outbox import Outbox
from shared.sql.database import Database
from shared.sql.lease import Lease, acquire, holds

_LEASE = "study-life-cycle"
_LEASE_SECONDS = 15.0


class LifeCycle:
    """Says ``study.received``, ``completed``, ``revised`` and ``archived``, each revision once."""

    def __init__(
        self,
        *,
        database: Database,
        documents: Documents,
        backlog: Backlog,
        site_key: SiteKey,
        out: Outbox,
        look_every: float,
    ) -> None:
        self._database = database
        self._documents = documents
        self._backlog = backlog
        self._site_key = site_key
        self._out = out
        self._look_every = look_every
        self._holder = uuid.uuid4().hex

    async def run(self) -> None:
        """Look for ever; what cannot be said now is said at a later look."""
        while True:
            with contextlib.suppress(RetryLater):
                await self.look()
            await asyncio.sleep(self._look_every)

    async def look(self) -> None:
        """Say what is due now, when the lease is ours."""
        held = await self._database.run(lambda c: acquire(c, lease, _LEASE, self._holder, _LEASE_SECONDS))
        if held is None:
            return
        found = await self._database.read(studies.candidates)
        if not found:
            return
        now = await self._now()
        for due in found:
            step = next_step(due.study, now)
            if step is not None and not await self._say(due, step, held, now):
                return

    async def _now(self) -> float:
        """The clock of the events: the wall clock only when nothing waits to be registered."""
        if await self._backlog.is_empty():
            return time.time()
        return await self._database.read(studies.newest_event)

    async def _say(self, due: Due, step: Step, held: Lease, now: float) -> bool:
        summary = None if step is Step.RECEIVE else await self._summary(due, step)

        def work(connection: Connection) -> bool:
            if not holds(connection, lease, held):
                return False
            if studies.advance(connection, due, step, now):
                event = _event(connection, due, step, summary, datetime.fromtimestamp(now, UTC))
                self._out.add(connection, event, id=self._event_id(due, step, event))
            return True

        return await self._database.run(work)

    def _event_id(self, due: Due, step: Step, event: Event) -> str:
        return self._site_key.event_id(event.subject, due.study_uid, step.value, due.revision)

    async def _summary(self, due: Due, step: Step) -> Blob:
        document = await self._database.read(lambda connection: studies.summary(connection, due))
        parts = (due.study_ref, step.value, due.revision, due.study.instances)
        return await self._documents.keep_summary(self._site_key.storage_key("study", *parts), document)


def _event(connection: Connection, due: Due, step: Step, summary: Blob | None, now: datetime) -> Event:
    of_study = {"study_uid": due.study_uid, "study_ref": due.study_ref}
    if summary is None:
        return StudyReceived(**of_study, received=datetime.fromtimestamp(due.study.last_event, UTC))
    counts = {"instances": due.study.instances, "summary": summary}
    if step is Step.ARCHIVE:
        return StudyArchived(
            **of_study,
            **counts,
            revision=due.revision,
            copies=studies.proven_copies(connection, due.study_uid),
            withheld=studies.withheld_count(connection, due.study_uid),
            archived=now,
        )
    counts |= {"revision": due.revision + 1, "series": due.series}
    if step is Step.REVISE:
        return StudyRevised(**of_study, **counts, added=due.study.instances - due.study.told, revised=now)
    proofs = tuple(Evidence(kind=proof.kind, confidence=proof.confidence) for proof in evidence(due.study))
    return StudyCompleted(**of_study, **counts, evidence=proofs, confidence=confidence(due.study), completed=now)
