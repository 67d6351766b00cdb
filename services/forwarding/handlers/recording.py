"""Outcomes on their way into the ledger while the next instance is already sent."""

import asyncio

from services.forwarding.domain.forwards import Result
from services.forwarding.ports.destination import Ledger


class Recording:
    """The outcomes of one batch: what arrives while a transaction runs goes into the next one.

    What a crash takes is the outcomes of one transaction: those instances are sent once more.
    """

    def __init__(self, ledger: Ledger, batch_id: str) -> None:
        self._ledger = ledger
        self._batch_id = batch_id
        self._waiting: list[Result] = []
        self._writing: asyncio.Task[None] | None = None

    def add(self, result: Result) -> None:
        """Take one outcome."""
        self._waiting.append(result)
        if self._writing is None or self._writing.done():
            self._raise_failure()
            self._writing = asyncio.create_task(self._write(), name="record")

    async def finish(self) -> None:
        """Return when everything is durable; what the ledger raises."""
        if self._writing is not None:
            await self._writing
        await self._write()

    def _raise_failure(self) -> None:
        if self._writing is not None:
            self._writing.result()

    async def _write(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting, []
            await self._ledger.record(self._batch_id, some)
