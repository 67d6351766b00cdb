"""A destination's queue as the flow knows it. Each hears of everything, and does what is of its kind."""

import asyncio
from contextlib import suppress

from contracts.events import BatchStored, StepReported, StudyArchived
from services.forwarding.domain.destinations import Destination
from shared.errors import RetryLater
from shared.messaging.cloudevent import Received
from shared.observability import logger

log = logger("causeway.forwarding")


class Queue:
    """One thing at a time for one destination; what its kind does not send it lets pass."""

    def __init__(self, destination: Destination, look_every: float) -> None:
        """``look_every`` is how soon another process's word is noticed, seconds."""
        self._destination = destination
        self._look_every = look_every
        self._turn = asyncio.Lock()
        self._asked = asyncio.Event()

    async def batch_stored(self, received: Received[BatchStored]) -> None:
        """Instances arrived."""

    async def step_reported(self, received: Received[StepReported]) -> None:
        """A modality reported on a procedure step."""

    async def study_archived(self, received: Received[StudyArchived]) -> None:
        """All of a study is kept for good."""

    async def retry(self) -> None:
        """Try again what an operator asked for, in order, for as long as the service lives: a Task."""
        while True:
            self._asked.clear()
            try:
                while await self._try_asked():
                    pass
            except RetryLater as error:
                log.warning("retry-postponed", target=self._destination.name, reason=error.reason)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_every):
                    await self._asked.wait()

    def look(self) -> None:
        """Look at once for what is to be tried again."""
        self._asked.set()

    async def _try_asked(self) -> bool:
        """Try the next of what was asked for; False when there is nothing."""
        return False
