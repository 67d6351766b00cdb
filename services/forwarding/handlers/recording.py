"""Outcomes on their way into the ledger while the next instance is already sent."""

import asyncio

from services.forwarding.domain.forwards import Result
from services.forwarding.ports.destination import Ledger

#: Outcomes that go into one transaction at most, and that wait for the next one.
AT_ONCE = 8


class Recording:
    """The outcomes of one batch: what arrives while a transaction runs goes into the next one.

    What a crash takes is the outcomes of one transaction and of those that wait for it, at most: they are sent again.
    """

    def __init__(self, ledger: Ledger, batch_id: str) -> None:
        self._ledger = ledger
        self._batch_id = batch_id
        self._waiting: list[Result] = []
        self._writing: asyncio.Task[None] | None = None

    async def add(self, result: Result) -> None:
        """Take one outcome; waits while too many are not durable yet, raises what the ledger raised."""
        self._waiting.append(result)
        if self._writing is not None and (self._writing.done() or len(self._waiting) >= AT_ONCE):
            await self._writing
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="record")

    async def finish(self) -> None:
        """Return when everything is durable; raises what the ledger raised."""
        if self._writing is not None:
            await self._writing
        while self._waiting:
            await self._write()

    async def _write(self) -> None:
        some, self._waiting = self._waiting, []
        await self._ledger.record(self._batch_id, some)
