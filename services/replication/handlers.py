"""What replication does with each event, for one target."""

from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from contracts.events import (
    CopyDamaged,
    CopyExpired,
    CopyFailed,
    CopyKey,
    CopyRemoved,
    CopyWritten,
    KeyDestroyed,
    PackSealed,
)
from services.replication.domain import (
    FIRST_GENERATION,
    FORM_EXCLUDED,
    UNREACHABLE,
    SourceLost,
    Write,
    copy_key,
    event_id,
    failed,
    hopeless,
    planned_for,
    removed,
    rewrite,
    written,
)
from services.replication.ports import Copies, Publisher
from shared.breaker import Breaker
from shared.errors import AlreadyDone
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received
from shared.observability import metrics
from shared.storage import StoreFull, StoreRefused

T = TypeVar("T")

Wanted = Received[PackSealed] | Received[CopyDamaged]


def _now() -> datetime:
    return datetime.now(UTC)


class CopyHandlers:
    """Keeps the copies of one target as the events say. Other targets' events are not its business."""

    def __init__(
        self,
        *,
        target: str,
        forms: Collection[str],
        site_key: SiteKey,
        copies: Copies,
        circuit: Breaker,
        bus: Publisher,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._target = target
        self._forms = forms
        self._site_key = site_key
        self._copies = copies
        self._circuit = circuit
        self._bus = bus
        self._now = now

    async def pack_sealed(self, received: Received[PackSealed]) -> None:
        """Write the planned copy; a repeat finds it there and says so again."""
        event = received.data
        planned = planned_for(event, self._target)
        if planned is None:
            return
        wanted = copy_key(self._site_key, event.sealed, planned, planned.generation or FIRST_GENERATION)
        write = Write(event.sealed, wanted, doubted=event.run > 0)
        if event.sealed.form not in self._forms:
            await self._fail(write, received, FORM_EXCLUDED, retrying=False)
            return
        kept = await self._reach(write, received, lambda: self._copies.first_kept(event.sealed, wanted.generation))
        if kept == wanted.generation:
            await self._write(write, received)
        elif planned.generation is None:
            await self._complete(copy_key(self._site_key, event.sealed, planned, kept), received)
        else:
            # Who asks for them doesn't know that they are gone, and will ask for the next one then.
            for generation in range(wanted.generation, kept):
                await self._say(removed(copy_key(self._site_key, event.sealed, planned, generation), self._now()))

    async def _complete(self, key: CopyKey, received: Received[PackSealed]) -> None:
        """Who names no generation means the one that is there, if any is: a removed copy does not come back."""
        write = Write(received.data.sealed, key, doubted=received.data.run > 0)
        if not await self._reach(write, received, lambda: self._copies.begun(key)):
            raise AlreadyDone("copy-removed")
        await self._write(write, received)

    async def copy_damaged(self, received: Received[CopyDamaged]) -> None:
        """Write the copy again as its next generation, unless that would be no better."""
        event = received.data
        if event.copy_key.target != self._target:
            return
        if reason := hopeless(event):
            await self._fail(Write(event.sealed, event.copy_key), received, reason, retrying=False)
            return
        write = rewrite(self._site_key, event)
        for generation in (event.copy_key, write.copy_key):
            if await self._reach(write, received, partial(self._copies.removed, generation)):
                raise AlreadyDone("copy-removed")
        await self._write(write, received)

    async def copy_expired(self, received: Received[CopyExpired]) -> None:
        """Remove the generation that nobody wants any longer."""
        event = received.data
        if event.copy_key.target != self._target:
            return
        try:
            await self._circuit.call(lambda: self._copies.remove(event.copy_key))
        except StoreRefused:
            # What is locked stays until its lock ends. Called back, it goes with its key: verification looks.
            if event.recall_id is None:
                raise
        await self._say(removed(event.copy_key, self._now(), event.recall_id))

    async def key_destroyed(self, received: Received[KeyDestroyed]) -> None:
        """Destroy the record of the key that lies beside the copies."""
        await self._circuit.call(lambda: self._copies.forget_key(received.data.study_key))

    async def _write(self, write: Write, received: Wanted) -> None:
        try:
            await self._reach(write, received, lambda: self._copies.write(write))
        except SourceLost as loss:
            await self._fail(write, received, loss.reason, retrying=False)
            return
        await self._say(written(write, self._now(), received.data.run))

    async def _reach(self, write: Write, received: Wanted, work: Callable[[], Awaitable[T]]) -> T:
        """What ``work`` gives, however long the target is away. That it is away, or refuses, is said once for a run."""
        try:
            return await self._circuit.call(
                work, on_open=lambda: self._fail(write, received, UNREACHABLE, retrying=True)
            )
        except (StoreRefused, StoreFull) as refusal:
            await self._fail(write, received, refusal.reason, retrying=True)
            raise

    async def _fail(self, write: Write, received: Wanted, reason: str, *, retrying: bool) -> None:
        run = received.data.run
        await self._say(failed(write, reason, attempts=received.deliveries, retrying=retrying, run=run))

    async def _say(self, fact: CopyWritten | CopyFailed | CopyRemoved) -> None:
        metrics().count("causeway_copies_total", target=self._target, outcome=fact.subject.split(".")[2])
        await self._bus.publish(fact, id=event_id(self._site_key, fact))
