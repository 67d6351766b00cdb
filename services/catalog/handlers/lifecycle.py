"""The life cycle of the studies: looks at what is due, by event times, and says it."""

import asyncio
import contextlib
import hashlib
import time

from contracts.events import Blob
from services.catalog.domain.lifecycle import Step, next_step
from services.catalog.domain.telling import Due, Word
from services.catalog.ports import Backlog, Documents, Studies
from shared.errors import RetryLater
from shared.identity import SiteKey


class LifeCycle:
    """Says ``study.received``, ``completed``, ``revised`` and ``archived``, each revision once."""

    def __init__(
        self, *, studies: Studies, documents: Documents, backlog: Backlog, site_key: SiteKey, look_every: float
    ) -> None:
        self._studies = studies
        self._documents = documents
        self._backlog = backlog
        self._site_key = site_key
        self._look_every = look_every

    async def run(self) -> None:
        """Look for ever; what cannot be said now is said at a later look."""
        while True:
            with contextlib.suppress(RetryLater):
                await self.look()
            await asyncio.sleep(self._look_every)

    async def look(self) -> None:
        """Say what is due now, as long as it is ours to say."""
        found = await self._studies.due()
        if not found:
            return
        now = await self._now()
        for due in found:
            step = next_step(due.study, now)
            if step is not None and not await self._studies.say(await self._word(due, step, now)):
                return

    async def _now(self) -> float:
        """The clock of the events: the wall clock only when nothing waits to be registered."""
        if await self._backlog.is_empty():
            return time.time()
        return await self._studies.newest_event()

    async def _word(self, due: Due, step: Step, now: float) -> Word:
        return Word(due, step, now, None if step is Step.RECEIVE else await self._summary(due, step))

    async def _summary(self, due: Due, step: Step) -> Blob:
        document = await self._studies.summary(due)
        # The digest: a key is never written twice, and what is said of the same instances may have grown meanwhile.
        parts = (due.study_ref, step.value, due.revision, hashlib.sha256(document).hexdigest())
        return await self._documents.keep_summary(self._site_key.storage_key("study", *parts), document)
