"""What forwarding does with each event, for one destination."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from contracts.events import BatchArchived, BatchStored
from contracts.formats.manifest import Instance
from services.forwarding.domain.answers import (
    INPUT_DAMAGED,
    INPUT_MISSING,
    BrokenOff,
    DestinationAway,
    Outcome,
    failed,
)
from services.forwarding.domain.destinations import Destination
from services.forwarding.domain.forwards import (
    InputAway,
    InputDamaged,
    InputMissing,
    Order,
    Result,
    Suspicion,
    facts,
    kept,
    key_of,
    outcome_of,
    unsettled,
)
from services.forwarding.handlers.gate import Gate
from services.forwarding.handlers.presence import Presence
from services.forwarding.handlers.queue import Queue
from services.forwarding.handlers.recording import Recording
from services.forwarding.ports.content import Archives, Contents, Inputs
from services.forwarding.ports.destination import Ledger, Sender
from shared.breaker import Breaker
from shared.errors import RetryLater
from shared.messaging.cloudevent import Received
from shared.observability import logger, metrics

#: Deliveries of a batch whose bytes are nowhere until its instances are given up: a quarter of an hour. A batch that
#: was just archived is missing until its ``batch.archived`` is heard.
PATIENCE = 20

log = logger("causeway.forwarding")


def _now() -> datetime:
    return datetime.now(UTC)


class NotThere(RetryLater):
    """The bytes of an instance are nowhere, as far as is known now."""

    def __init__(self) -> None:
        super().__init__(INPUT_MISSING)


class Archiving:
    """Hears where batches lie once their landing archive is released."""

    def __init__(self, archives: Archives) -> None:
        self._archives = archives

    async def batch_archived(self, received: Received[BatchArchived]) -> None:
        """Note the proven copies."""
        await self._archives.note(received.data)


class Forwarding(Queue):
    """Sends batches to one destination, one at a time and in the order in which they were stored."""

    def __init__(
        self,
        *,
        destination: Destination,
        inputs: Inputs,
        sender: Sender,
        ledger: Ledger,
        circuit: Breaker,
        gate: Gate,
        look_every: float,
        now: Callable[[], datetime] = _now,
    ) -> None:
        super().__init__(destination, look_every)
        self._inputs = inputs
        self._sender = sender
        self._ledger = ledger
        self._circuit = circuit
        self._gate = gate
        self._now = now
        self._suspicion = Suspicion()
        self._presence = Presence(destination.name, ledger, now)

    async def batch_stored(self, received: Received[BatchStored]) -> None:
        """Send what the destination gets of the batch and does not have yet, however long it is away or held."""
        event, since = received.data, self._destination.since
        if since is not None and event.closed < since:
            return
        await self._ledger.stands(oldest=received.time.timestamp())
        async with self._turn:
            await self._forward(Order(event), is_patient=received.deliveries < PATIENCE)
        await self._ledger.stands(oldest=None)

    async def _try_asked(self) -> bool:
        order = await self._ledger.next_asked()
        if order is None:
            return False
        async with self._turn:
            await self._forward(order, is_patient=False)
        return True

    async def _forward(self, order: Order, *, is_patient: bool) -> None:
        contents = await self._open(order, is_patient=is_patient)
        wanted = self._destination.wanted(contents.source_ae, contents.instances) if contents else ()
        if contents is None or not wanted:
            return
        ends = await self._circuit.call(lambda: self._send(order, contents, wanted, is_patient=is_patient))
        told = facts(order, self._destination.name, wanted, ends, self._now())
        await self._ledger.finish(order, ends, told)

    async def _open(self, order: Order, *, is_patient: bool) -> Contents | None:
        """The batch; None for one whose manifest is lost, of which nothing can be said but that."""
        try:
            return await self._inputs.open(order.event.batch)
        except (InputMissing, InputDamaged) as error:
            if is_patient:
                raise NotThere from None
            log.error("batch-lost", batch_id=order.event.batch.batch_id, reason=error.reason)
            return None

    async def _send(
        self, order: Order, contents: Contents, wanted: Sequence[Instance], *, is_patient: bool
    ) -> dict[str, Outcome]:
        """The outcome of every wanted instance, those of earlier attempts among them."""
        ends = kept(order, await self._ledger.known(wanted))
        left = unsettled(wanted, ends)
        recording = Recording(self._ledger, order.event.batch.batch_id)
        try:
            await self._sender.prepare(left)
            for instance in left:
                await self._gate.passed()
                ends[key_of(instance)] = end = await self._attempt(contents, instance, is_patient=is_patient)
                await recording.add(Result(instance, end))
                await self._is_there(end)
        except DestinationAway as away:
            await self._presence.away(away.reason)
            raise
        finally:
            await recording.finish()
        return ends

    async def _attempt(self, contents: Contents, instance: Instance, *, is_patient: bool) -> Outcome:
        """How one instance ended; DestinationAway."""
        try:
            return await self._store(contents, instance, is_patient=is_patient)
        except BrokenOff as error:
            if self._suspicion.is_proven(key_of(instance)):
                return failed(error.reason)
            raise

    async def _store(self, contents: Contents, instance: Instance, *, is_patient: bool) -> Outcome:
        """How one instance ended, read from the first source that holds what was received."""
        seen, may_come = INPUT_MISSING, False
        async for source in contents.sources(instance):
            try:
                return await self._sender.store(instance, source)
            except InputMissing:
                continue
            except InputAway:
                may_come = True
            except InputDamaged:
                seen = INPUT_DAMAGED
        if is_patient and (may_come or seen == INPUT_MISSING):
            raise NotThere
        return failed(seen)

    async def _is_there(self, end: Outcome) -> None:
        name = self._destination.name
        metrics().count("causeway_forwards_total", target=name, outcome=outcome_of(end))
        if not end.is_delivered:
            log.warning("not-taken", target=name, reason=end.reason)
        await self._presence.here()
