"""Calling back what went out under a profile that proved too weak: over HTTP, and what the bus says of it."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.events import CopyAbsent
from services.deid.domain.recall import Recall
from services.deid.ports.content import WorkArea
from services.deid.ports.recall import Recalls
from shared.errors import RetryLater
from shared.messaging.cloudevent import Received
from shared.observability import logger

log = logger("causeway.deid")

_LONGEST = 1000
#: Seconds between two looks for a recall that a process which died has left.
_LOOK_EVERY = 5.0


class RecallHandlers:
    """Calls back. The work is done study by study, by whichever process is alive."""

    def __init__(self, *, recalls: Recalls, work_area: WorkArea, clock: Callable[[], datetime]) -> None:
        self._recalls = recalls
        self._work_area = work_area
        self._clock = clock
        self._asked = asyncio.Event()

    def routes(self) -> tuple[BaseRoute, ...]:
        """``GET`` and ``POST /api/deid/recalls``."""
        return (
            Route("/api/deid/recalls", self.listed),
            Route("/api/deid/recalls", self.recall, methods=["POST"]),
        )

    async def recall(self, request: Request) -> Response:
        """``{profile, version, reason}``, and ``project`` for one alone: 202, the id of the recall, and how many
        studies it is about."""
        try:
            asked = _asked(await request.json())
        except ValueError:
            return JSONResponse({"error": "say profile, version and reason, and project for one alone"}, 422)
        who = str(getattr(request.state, "who", "unknown"))[:64]
        one = Recall(secrets.token_hex(16), who=who, told=self._clock(), **asked)
        studies = await self._recalls.open(one)
        log.warning("recall-opened", who=who, ref=one.id)
        self._asked.set()
        return JSONResponse({"recall": one.id, "studies": studies}, 202)

    async def listed(self, request: Request) -> Response:
        """How far every recall is."""
        found = await self._recalls.progress()
        return JSONResponse({"recalls": [{**asdict(one), "state": one.state} for one in found]})

    async def copy_absent(self, received: Received[CopyAbsent]) -> None:
        """Note the proof that a copy is gone."""
        await self._recalls.absent(received.data)

    async def run(self) -> None:
        """Withdraw what is to be withdrawn, for ever."""
        while True:
            self._asked.clear()
            try:
                for recall_id in await self._recalls.unfinished():
                    await self._withdraw(recall_id)
            except RetryLater as error:
                log.warning("recall-waits", reason=error.reason)
            try:
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def _withdraw(self, recall_id: str) -> None:
        count, packs = 1, 0
        while count:
            count, kept = await self._recalls.withdraw(recall_id, self._clock())
            packs += count
            for outputs in kept:
                await self._work_area.release(outputs)
        log.warning("recall-withdrawn", ref=recall_id, packs=packs)


def _asked(body: Any) -> dict[str, str]:
    """What a body asks for; ValueError unless it says that, all of it as text, and nothing else."""
    if not isinstance(body, dict) or set(body) - {"project"} != {"profile", "version", "reason"}:
        raise ValueError
    if not all(isinstance(value, str) and value.strip() and len(value) <= _LONGEST for value in body.values()):
        raise ValueError
    return {"project": "", **{name: value.strip() for name, value in body.items()}}
