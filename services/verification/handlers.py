"""What verification does with each event, by schedule, and when it is asked over HTTP."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from contracts.events import CopyExpired, CopyKey, CopyRemoved, CopyWritten
from services.verification.domain.copies import Cause, KnownCopy, Outcome, absent, known, recent, scheduled
from services.verification.domain.proving import Proof
from services.verification.ports import Ledger, Reading
from shared.breaker import Breaker
from shared.errors import AlreadyDone, CausewayError, RetryLater
from shared.messaging.cloudevent import Received
from shared.observability import logger, metrics

log = logger("causeway.verification")


def _utc() -> datetime:
    return datetime.now(UTC)


class TargetProofs:
    """Proves the copies of one target: when they are written, and again by schedule."""

    def __init__(
        self,
        *,
        target: str,
        reading: Reading,
        ledger: Ledger,
        circuit: Breaker,
        reprove_after: float,
        look_every: float,
        now: Callable[[], datetime] = _utc,
    ) -> None:
        self._target = target
        self._reading = reading
        self._ledger = ledger
        self._circuit = circuit
        self._reprove_after = reprove_after
        self._look_every = look_every
        self._now = now
        self._asked = asyncio.Event()

    async def copy_written(self, received: Received[CopyWritten]) -> None:
        """Prove the copy. A copy with a standing proof is not read again for another run: the proof is told again.

        A replay (a first delivery of what is settled) reads a proven copy once more; it says something only when the
        copy is no longer what it was.
        """
        event = received.data
        if event.copy_key.target != self._target:
            return
        if await self._ledger.settled(received.id, event.copy_key):
            if received.deliveries == 1:
                await self._doubt(event.copy_key)
            raise AlreadyDone("copy-settled")
        cause, copy = Cause(received.id, event.run), await self._ledger.find(event.copy_key)
        if copy is not None and recent(copy, self._now(), self._reprove_after):
            await self._ledger.repeat(copy, cause)
            return
        await self._prove(known(event), cause)

    async def copy_removed(self, received: Received[CopyRemoved]) -> None:
        """Look whether a copy that was called back is gone, and say so; wait until it is."""
        event = received.data
        if event.copy_key.target != self._target or event.recall_id is None:
            return
        known_as = await self._ledger.find(event.copy_key)
        record = known_as.sealed.study_key.key if known_as else None
        level = await self._circuit.call(lambda: self._reading.absence(event.copy_key, record))
        if level is None:
            raise RetryLater("copy-still-there")
        await self._ledger.tell_absent(absent(event, level, self._now()))

    async def schedule(self) -> None:
        """Prove again what is due, for as long as the service lives."""
        while True:
            self._asked.clear()
            try:
                while due := await self._due():
                    await self._prove(due, scheduled(due))
            except CausewayError as error:
                # The copy stays claimed for a while, so that the next look is at another one.
                log.warning("proof-postponed", target=self._target, reason=error.reason)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_every):
                    await self._asked.wait()

    def look(self) -> None:
        """Look at once for what is due."""
        self._asked.set()

    async def _due(self) -> KnownCopy | None:
        return next(iter(await self._ledger.due(self._target, 1)), None)

    async def _doubt(self, copy_key: CopyKey) -> None:
        copy = await self._ledger.find(copy_key)
        if copy is None or copy.state != "proven":
            return
        outcome = await self._read(copy)
        if not isinstance(outcome, Proof):
            await self._ledger.record(copy, outcome, scheduled(copy))

    async def _prove(self, copy: KnownCopy, cause: Cause) -> None:
        await self._ledger.record(copy, await self._read(copy), cause)

    async def _read(self, copy: KnownCopy) -> Outcome:
        outcome = await self._circuit.call(lambda: self._reading.prove(copy))
        proven = isinstance(outcome, Proof)
        metrics().count("causeway_copies_total", target=self._target, outcome="proven" if proven else "damaged")
        if not proven:
            key = copy.copy_key
            ids = {"sealed_id": key.sealed_id, "target": key.target, "generation": key.generation}
            log.warning("copy-damaged", **ids, reason=outcome)
        return outcome


class Expiry:
    """Copies that nobody wants are not read any more: they would be found missing."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def copy_expired(self, received: Received[CopyExpired]) -> None:
        """Forget the generation."""
        await self._ledger.expire(received.data.copy_key)


class VerifyRoute:
    """``POST /api/verify``: prove copies again now, of one sealed pack, of one study, or all of them."""

    def __init__(self, ledger: Ledger, proofs: Mapping[str, TargetProofs]) -> None:
        self._ledger = ledger
        self._proofs = proofs

    def route(self) -> Route:
        """The route."""
        return Route("/api/verify", self.verify, methods=["POST"])

    async def verify(self, request: Request) -> Response:
        """202 with the number of copies; 422 unless the body names exactly one of sealed_id, study_ref and all."""
        asked = _asked(await request.body())
        if asked is None:
            return JSONResponse({"error": "name one of: sealed_id, study_ref, all"}, 422)
        count = await self._ledger.make_due(**asked)
        for proofs in self._proofs.values():
            proofs.look()
        return JSONResponse({"copies": count}, 202)


def _asked(body: bytes) -> dict[str, str] | None:
    """What a request asks for, as arguments of ``make_due``; None when it is not one of the three."""
    try:
        asked = json.loads(body)
    except ValueError:
        return None
    if asked == {"all": True}:
        return {}
    if not isinstance(asked, dict) or len(asked) != 1:
        return None
    name, value = next(iter(asked.items()))
    return {name: value} if name in {"sealed_id", "study_ref"} and isinstance(value, str) else None
