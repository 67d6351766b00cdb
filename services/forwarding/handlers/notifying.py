"""What is told to a RIS: one notice at a time, in the order in which the facts became known."""

from collections.abc import Callable
from datetime import UTC, datetime

from contracts.events import StepReported, StudyArchived
from services.forwarding.domain import notices
from services.forwarding.domain.answers import INPUT_DAMAGED, INPUT_MISSING, DestinationAway, Outcome, failed
from services.forwarding.domain.destinations import Destination
from services.forwarding.domain.forwards import InputDamaged, InputMissing
from services.forwarding.domain.notices import Item, Notice, of_answer
from services.forwarding.handlers.events import PATIENCE, NotThere
from services.forwarding.handlers.gate import Gate
from services.forwarding.handlers.presence import Presence
from services.forwarding.handlers.queue import Queue
from services.forwarding.ports.notices import Documents, NoticeLedger, Notifier
from shared.breaker import Breaker
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received
from shared.observability import logger, metrics

log = logger("causeway.forwarding")


def _now() -> datetime:
    return datetime.now(UTC)


class Notifying(Queue):
    """The queue of a destination of kind ``mpps`` or ``ian``."""

    def __init__(
        self,
        *,
        destination: Destination,
        documents: Documents,
        notifier: Notifier,
        ledger: NoticeLedger,
        circuit: Breaker,
        gate: Gate,
        site_key: SiteKey,
        look_every: float,
        now: Callable[[], datetime] = _now,
    ) -> None:
        super().__init__(destination, look_every)
        self._documents = documents
        self._notifier = notifier
        self._ledger = ledger
        self._circuit = circuit
        self._gate = gate
        self._site_key = site_key
        self._presence = Presence(destination.name, ledger, now)

    async def step_reported(self, received: Received[StepReported]) -> None:
        """Pass the report on as it came."""
        if self._destination.kind == "mpps" and not self._is_before(received.data.received):
            await self._hear(received)

    async def study_archived(self, received: Received[StudyArchived]) -> None:
        """Tell which instances of the study can be retrieved."""
        if self._destination.kind == "ian" and not self._is_before(received.data.archived):
            await self._hear(received)

    async def _try_asked(self) -> bool:
        item = await self._ledger.next_asked()
        if item is None:
            return False
        async with self._turn:
            await self._notify(item, is_patient=False)
        return True

    def _is_before(self, moment: datetime) -> bool:
        since = self._destination.since
        return since is not None and moment < since

    async def _hear(self, received: Received[StepReported] | Received[StudyArchived]) -> None:
        item = Item(received.id, received.sequence, received.data)
        if await self._ledger.known(item) is not None:
            return
        await self._ledger.stands(oldest=received.time.timestamp())
        async with self._turn:
            await self._notify(item, is_patient=received.deliveries < PATIENCE)
        await self._ledger.stands(oldest=None)

    async def _notify(self, item: Item, *, is_patient: bool) -> None:
        try:
            notice = await self._compose(item)
            if notice is None:
                return
            outcome = await self._circuit.call(lambda: self._send(item, notice))
        except InputMissing:
            if is_patient:
                raise NotThere from None
            outcome = failed(INPUT_MISSING)
        except InputDamaged:
            outcome = failed(INPUT_DAMAGED)
        await self._ledger.settle(item, outcome)
        self._tell(item, outcome)

    async def _compose(self, item: Item) -> Notice | None:
        fact = item.fact
        if isinstance(fact, StepReported):
            return notices.report(await self._documents.read(fact.report), fact)
        summary = await self._documents.read(fact.summary)
        return notices.availability(summary, fact, self._destination, self._site_key)

    async def _send(self, item: Item, notice: Notice) -> Outcome:
        await self._gate.passed()
        tries = await self._ledger.trying(item, notice.sop_instance)
        try:
            outcome = of_answer(notice.operation, await self._notifier.send(notice), tries)
        except DestinationAway as away:
            await self._presence.away(away.reason)
            raise
        await self._presence.here()
        return outcome

    def _tell(self, item: Item, outcome: Outcome) -> None:
        name, how = self._destination.name, "delivered" if outcome.is_delivered else "failed"
        metrics().count("causeway_notices_total", target=name, outcome=how)
        if outcome.is_delivered:
            log.info("notice-taken", target=name, ref=item.ref)
        else:
            log.warning("notice-not-taken", target=name, ref=item.ref, reason=outcome.reason)
