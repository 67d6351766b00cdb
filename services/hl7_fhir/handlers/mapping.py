"""What happens with messages that were acknowledged: they are mapped, in their order, soon after."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from services.hl7_fhir.ports import Waiting
from shared.errors import CausewayError, RetryLater
from shared.observability import logger

#: Messages in one transaction: more cost less each, fewer let those who wait for an answer go first.
_AT_ONCE = 16
#: How often a message is tried that fails for a reason nobody knows, and the pauses before it is tried again, seconds.
_PAUSES = (0.2, 1.0)
#: While messages arrive, mapping takes one part of the time and rests for so many.
_REST = 4
_BUSY = 0.05

log = logger("causeway.hl7")


@dataclass
class Mapping:
    """Maps what waits for as long as the service lives; ``woken`` after each message that was kept.

    Whoever waits for an answer goes first: while messages arrive, only a fifth of the time is spent on mapping.
    """

    waiting: Waiting
    look_every: float = 5.0
    pause: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _heard: float = 0.0

    def wake(self) -> None:
        """A message was kept."""
        self._heard = self.clock()
        self._woken.set()

    async def run(self) -> None:
        """Map until cancelled: a Task."""
        while True:
            self._woken.clear()
            try:
                await self._map_all()
            except RetryLater as trouble:
                log.warning("hl7-mapping-waits", reason=trouble.reason)
                await asyncio.sleep(self.pause)
                continue
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with what it waits for.
            with suppress(TimeoutError):
                async with asyncio.timeout(self.look_every):
                    await self._woken.wait()

    async def _map_all(self) -> None:
        while True:
            began = self.clock()
            if not await self._map_some():
                return
            now = self.clock()
            if now - self._heard < _BUSY:
                await asyncio.sleep(_REST * (now - began))

    async def _map_some(self) -> int:
        try:
            return await self.waiting.map_some(_AT_ONCE)
        except RetryLater:
            raise
        except Exception as error:  # of one of them: each alone
            log.warning("hl7-mapping-failed", error=type(error).__name__)
        return await self._map_one()

    async def _map_one(self) -> int:
        """The next message alone; after the last attempt a person has to look at it."""
        for pause in (*_PAUSES, None):
            try:
                return await self.waiting.map_some(1)
            except RetryLater:
                raise
            except Exception as error:
                reason = error.reason if isinstance(error, CausewayError) else "internal-error"
                log.error("hl7-message-failed", reason=reason, exc_info=error)
            if pause is not None:
                await asyncio.sleep(pause)
        await self.waiting.give_up_first(reason)
        return 1
