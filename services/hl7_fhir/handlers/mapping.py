"""What happens with messages that were acknowledged: they are mapped, in their order, soon after."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from services.hl7_fhir.ports import Waiting
from shared.errors import CausewayError, RetryLater
from shared.observability import logger

#: Messages in one transaction: more cost less each, fewer let those who wait for an answer go first.
_AT_ONCE, _AT_ONCE_IN_A_FLOOD = 8, 4
#: How often a message is tried alone that fails for a reason nobody knows. Nobody waits for it: trouble that passes by
#: itself is known as such, and a person can have it taken again.
_ATTEMPTS = 2

log = logger("causeway.hl7")


@dataclass
class Flood:
    """Tells when so many messages arrive that mapping them at once would keep their senders waiting.

    ``many`` a second, looked at over ``window`` seconds.
    """

    many: float = 200.0
    window: float = 0.25
    clock: Callable[[], float] = time.monotonic
    _arrived: deque[tuple[float, int]] = field(default_factory=deque)

    def heard(self, count: int) -> None:
        """So many messages were kept together."""
        self._arrived.append((self.clock(), count))
        self._forget()

    @property
    def is_on(self) -> bool:
        """Whether it is one."""
        self._forget()
        return sum(count for _, count in self._arrived) > self.many * self.window

    def _forget(self) -> None:
        since = self.clock() - self.window
        while self._arrived and self._arrived[0][0] < since:
            self._arrived.popleft()


@dataclass
class Mapping:
    """Maps what waits for as long as the service lives.

    Senders go first: in a flood a tenth of the time is spent on mapping, half of it once mapping is ``behind`` for so
    many seconds, and all of it when the flood is over.
    """

    waiting: Waiting
    flood: Flood = field(default_factory=Flood)
    behind: float = 5.0
    look_every: float = 5.0
    pause: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _was_through: float = 0.0
    _alone: int = 0

    def wake(self, count: int) -> None:
        """So many messages were kept."""
        self.flood.heard(count)
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
            if self.flood.is_on:
                await asyncio.sleep(self._rest(began))

    def _rest(self, began: float) -> float:
        now = self.clock()
        return (now - began) * (1 if now - self._was_through > self.behind else 9)

    async def _map_some(self) -> int:
        if self._alone:
            self._alone -= 1
            return await self._map_one()
        at_once = _AT_ONCE_IN_A_FLOOD if self.flood.is_on else _AT_ONCE
        try:
            return await self.waiting.map_some(at_once)
        except RetryLater:
            raise
        except Exception as error:  # of one of them: each alone
            log.warning("hl7-mapping-failed", error=type(error).__name__)
        self._alone = at_once - 1
        return await self._map_one()

    async def _map_one(self) -> int:
        """The next message alone; after the last attempt a person has to look at it."""
        reason = "internal-error"
        for _ in range(_ATTEMPTS):
            try:
                return await self.waiting.map_some(1)
            except RetryLater:
                raise
            except Exception as error:
                reason = error.reason if isinstance(error, CausewayError) else reason
                log.error("hl7-message-failed", reason=reason, exc_info=error)
        await self.waiting.give_up(reason)
        return 1
