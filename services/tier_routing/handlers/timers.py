"""What happens when time passes. Every replica may run it: each step holds its row and looks again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from services.tier_routing.ports import Clockwork
from shared.errors import RetryLater
from shared.observability import logger

log = logger("causeway.tier_routing")


class Timers:
    """Closes packs ``pack_every`` seconds, looks for what is overdue or over ``sweep_every`` seconds."""

    def __init__(
        self, *, clockwork: Clockwork, clock: Callable[[], datetime], pack_every: float, sweep_every: float
    ) -> None:
        self._clockwork = clockwork
        self._clock = clock
        self._pack_every = pack_every
        self._sweep_every = sweep_every

    async def close_packs(self) -> None:
        """Close what is due, for ever."""
        await self._for_ever("packs-closed", self._clockwork.close_due, self._pack_every)

    async def sweep(self) -> None:
        """Find what is overdue and start it again, for ever."""
        await self._for_ever("overdue-found", self._clockwork.sweep, self._sweep_every)

    async def decide_commitments(self) -> None:
        """Decide on requests for storage commitment, for ever."""
        await self._for_ever("commitments-decided", self._clockwork.decide_commitments, self._pack_every)

    async def end_retention(self) -> None:
        """Let go of what is past its retention, for ever."""
        await self._for_ever("retention-ended", self._clockwork.end_retention, self._sweep_every)

    async def _for_ever(self, event: str, step: Callable[[datetime], Awaitable[int]], pause: float) -> None:
        while True:
            try:
                count = await step(self._clock())
                if count:
                    log.info(event, count=count)
            except RetryLater as error:
                log.warning("timer-waits", reason=error.reason)
            await asyncio.sleep(pause)
