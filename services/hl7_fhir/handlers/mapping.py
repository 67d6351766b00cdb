"""What happens with messages that were acknowledged: they are mapped, in their order, soon after."""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from services.hl7_fhir.ports import Waiting
from shared.errors import CausewayError, RetryLater
from shared.observability import logger

#: Messages in one transaction: more cost less each, fewer let those who wait for an answer go first.
_AT_ONCE, _AT_ONCE_UNDER_PRESSURE = 16, 4
#: While messages arrive: behind by less than so many seconds, mapping rests for so many times as long as it worked.
_RESTS = ((10.0, 9), (30.0, 3), (60.0, 1))
#: Nobody sends when nothing was kept for so long; how often that is looked at, seconds.
_QUIET, _BREATH = 0.05, 0.01
#: How often a message is tried alone that fails for a reason nobody knows. Nobody waits for it: trouble that passes by
#: itself is known as such, and a person can have it taken again.
_ATTEMPTS = 2

log = logger("causeway.hl7")


@dataclass
class Mapping:
    """Maps what waits for as long as the service lives; ``pending`` is how many messages wait to be kept, and
    ``one_at_a_time`` is held while a long message is in memory several times over.

    Senders go first: while messages arrive, mapping takes a part of the time only, the more the longer it has been
    behind, and all of it as soon as nobody sends.
    """

    waiting: Waiting
    pending: Callable[[], int] = int
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    look_every: float = 5.0
    pause: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _was_through: float = 0.0
    _heard: float = -math.inf
    _alone: int = 0

    def wake(self, _: int = 1) -> None:
        """Messages were kept."""
        self._heard = self.clock()
        self._woken.set()

    async def run(self) -> None:
        """Map until cancelled: a Task."""
        while True:
            self._woken.clear()
            self._was_through = self.clock()
            try:
                await self.map_all()
            except RetryLater as trouble:
                log.warning("hl7-mapping-waits", reason=trouble.reason)
                await asyncio.sleep(self.pause)
                continue
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with what it waits for.
            with suppress(TimeoutError):
                async with asyncio.timeout(self.look_every):
                    await self._woken.wait()

    async def map_all(self) -> None:
        """Map until nothing waits; RetryLater."""
        while True:
            began = self.clock()
            if not await self._map_some():
                return
            await self._let_senders_go_first(began)

    async def _let_senders_go_first(self, began: float) -> None:
        """Rest after a portion that began at ``began``, as long as somebody sends."""
        now = self.clock()
        behind = now - self._was_through
        times = next((times for seconds, times in _RESTS if behind < seconds), 0)
        rested = now + times * (now - began)
        while self.clock() < rested and self._is_pressed():  # noqa: ASYNC110 - silence is no event
            await asyncio.sleep(_BREATH)

    def _is_pressed(self) -> bool:
        return self.pending() > 0 or self.clock() - self._heard < _QUIET

    async def _map_some(self) -> int:
        if self._alone:
            self._alone -= 1
            return await self._map_one()
        at_once = _AT_ONCE_UNDER_PRESSURE if self._is_pressed() else _AT_ONCE
        try:
            return await self._portion(at_once)
        except RetryLater:
            raise
        except Exception as error:  # of one of them: each alone
            log.warning("hl7-mapping-failed", error=type(error).__name__)
        self._alone = at_once - 1
        return await self._map_one()

    async def _portion(self, limit: int) -> int:
        """Map the next messages, a long one alone and while no other long one is read."""
        if await self.waiting.next_is_long():
            async with self.one_at_a_time:
                return await self.waiting.map_some(1)
        return await self.waiting.map_some(limit)

    async def _map_one(self) -> int:
        """The next message alone; after the last attempt a person has to look at it."""
        reason = "internal-error"
        for _ in range(_ATTEMPTS):
            try:
                return await self._portion(1)
            except RetryLater:
                raise
            except Exception as error:
                reason = error.reason if isinstance(error, CausewayError) else reason
                log.error("hl7-message-failed", reason=reason, exc_info=error)
        await self.waiting.give_up(reason)
        return 1
