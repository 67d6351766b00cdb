"""One method per kind of arrival on the bus."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from contracts.events import BatchStored, CommitmentRequested
from services.tier_routing.domain.given_up import given_up
from services.tier_routing.domain.identity import Arrived
from services.tier_routing.ports import Backlog, Ledger, Manifests
from shared.errors import RetryLater
from shared.messaging.cloudevent import Received
from shared.messaging.deadletters import DeadLetter
from shared.messaging.tracing import current_traceparent
from shared.observability import logger

log = logger("causeway.tier_routing")


class EventHandlers:
    """Everything that is heard goes into the ledger; a repeat changes nothing."""

    def __init__(
        self, *, ledger: Ledger, manifests: Manifests, backlog: Backlog, clock: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._manifests = manifests
        self._backlog = backlog
        self._clock = clock

    async def batch_stored(self, received: Received[BatchStored]) -> None:
        """Claim what the batch brought, decide on its copies, put it into a pack."""
        event = received.data
        arrived = Arrived(
            event=event,
            manifest=await self._manifests.read(event.batch),
            now=self._clock(),
            traceparent=current_traceparent() or received.traceparent,
        )
        if not await self._ledger.take_in(arrived):
            log.info("batch-known", batch_id=event.batch.batch_id, study_ref=event.study_ref)

    async def commitment_requested(self, received: Received[CommitmentRequested]) -> None:
        """Enter a request for storage commitment; it is decided when its instances are secured, or late.

        RetryLater until everything is here that was told before it: among that may be the version that is meant.
        """
        request = received.data
        if not await self._backlog.is_settled(received.sequence):
            raise RetryLater("batches-first")
        traceparent = current_traceparent() or received.traceparent
        if not await self._ledger.ask(request, self._clock(), traceparent):
            log.info("commitment-known", ref=request.commitment_id)

    async def heard(self, received: Received[Any]) -> None:
        """Take in a fact about an association, an order, a pack or a copy."""
        await self._ledger.hear(received.data, received.id, received.time)

    async def dead_letter(self, letter: DeadLetter) -> None:
        """Take in what another service gave up."""
        await self._ledger.give_up(
            given_up(
                letter.body,
                number=letter.number,
                service=letter.service,
                subject=letter.subject,
                error_class=letter.error_class,
                reason=letter.reason,
                told=letter.time.astimezone(UTC) if letter.time else self._clock(),
            )
        )
