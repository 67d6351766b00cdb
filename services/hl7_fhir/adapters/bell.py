"""Tells loops of this process that there may be something to do, before their next look."""

import asyncio
from contextlib import suppress


class Bell:
    """Rung and heard on one event loop. Who has counted ``rung`` before looking misses nothing."""

    def __init__(self) -> None:
        self.rung = 0
        self._waiting: set[asyncio.Event] = set()

    def ring(self) -> None:
        """Wake everybody who waits."""
        self.rung += 1
        for event in self._waiting:
            event.set()

    async def wait(self, seconds: float, heard: int) -> None:
        """Until the bell has rung more often than ``heard`` times, at most ``seconds``."""
        if self.rung != heard:
            return
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await event.wait()
        finally:
            self._waiting.discard(event)
