"""Whether a destination's queue may go on: an operator holds and releases it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from shared.breaker import Interrupted
from shared.messaging.standing import stand_aside


class Gate:
    """Closed while the destination is held. ``decided`` gives the operator's word, None where the file's counts."""

    def __init__(self, *, by_file: bool, decided: Callable[[], Awaitable[bool | None]], look_every: float) -> None:
        self._by_file = by_file
        self._decided = decided
        self._look_every = look_every
        self._held = by_file
        self._looked = float("-inf")
        self._woken = asyncio.Event()
        self._is_interrupted = False

    async def passed(self) -> None:
        """Return when the queue may go on; Interrupted when the service ends."""
        while await self.is_held():
            await stand_aside()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_every):
                    await self._woken.wait()
            self._woken.clear()
            self._raise_interrupted()
        self._raise_interrupted()

    async def is_held(self) -> bool:
        """Whether it is closed, as of the last look."""
        if time.monotonic() - self._looked >= self._look_every:
            decided = await self._decided()
            self._held = self._by_file if decided is None else decided
            self._looked = time.monotonic()
        return self._held

    def look(self) -> None:
        """Look at once: somebody decided."""
        self._looked = float("-inf")
        self._woken.set()

    def interrupt(self) -> None:
        """Let nothing pass any more: the service ends."""
        self._is_interrupted = True
        self._woken.set()

    def _raise_interrupted(self) -> None:
        if self._is_interrupted:
            raise Interrupted
