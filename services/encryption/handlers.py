"""What encryption does with each event."""

import asyncio

from contracts.events import BatchArchived, KeyDestroyed, PackDeidentified, PackPlanned, PackRecalled
from services.encryption.domain.orders import (
    Receipt,
    SealOrder,
    deidentified_orders,
    event_id,
    pack_sealed,
    planned_orders,
    recalled_keys,
    releasable,
)
from services.encryption.ports import Buffer, Inputs, Publisher, Sealing, StudyKeys
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received
from shared.observability import logger, metrics

log = logger("causeway.encryption")


class SealHandlers:
    """Seals each pack once, and says so as often as it is asked."""

    def __init__(
        self,
        *,
        site_key: SiteKey,
        inputs: Inputs,
        buffer: Buffer,
        sealing: Sealing,
        study_keys: StudyKeys,
        bus: Publisher,
        packs_at_once: int = 2,
    ) -> None:
        self._site_key = site_key
        self._inputs = inputs
        self._buffer = buffer
        self._sealing = sealing
        self._study_keys = study_keys
        self._bus = bus
        self._turns = asyncio.Semaphore(packs_at_once)

    async def pack_planned(self, received: Received[PackPlanned]) -> None:
        """Seal the identified pack, once for each key domain."""
        for order in planned_orders(self._site_key, received.id, received.data):
            await self._deliver(order)

    async def pack_deidentified(self, received: Received[PackDeidentified]) -> None:
        """Seal the de-identified pack, once for each key domain."""
        for order in deidentified_orders(self._site_key, received.id, received.data):
            await self._deliver(order)

    async def batch_archived(self, received: Received[BatchArchived]) -> None:
        """Release the buffer: every planned copy is proven."""
        for sealed_id in releasable(received.data):
            await self._buffer.release(sealed_id)

    async def pack_recalled(self, received: Received[PackRecalled]) -> None:
        """Destroy the study keys of the release: what cannot be deleted of it nobody reads any more."""
        event = received.data
        for receipt in await self._buffer.sealings(event.pack_id):
            await self._buffer.release(receipt.sealed.sealed_id)
        for domain, study_key_id in recalled_keys(self._site_key, event):
            record = await self._study_keys.destroy(study_key_id)
            log.warning("study-key-destroyed", study_key_id=study_key_id, key_domain=domain, ref=event.recall_id)
            told = KeyDestroyed(study_key=record, key_domain=domain, recall_id=event.recall_id, destroyed=received.time)
            event_id = self._site_key.event_id(told.subject, event.recall_id, event.pack_id, study_key_id)
            await self._bus.publish(told, id=event_id)

    async def _deliver(self, order: SealOrder) -> None:
        receipt = await self._buffer.receipt(order)
        if receipt is None:
            async with self._turns:
                receipt = await self._sealing.seal(order, await self._inputs.open(order))
                metrics().count("causeway_packs_total", outcome="sealed")
        else:
            receipt = await self._sound(order, receipt)
        await self._bus.publish(pack_sealed(order, receipt), id=event_id(self._site_key, order))

    async def _sound(self, order: SealOrder, receipt: Receipt) -> Receipt:
        """The receipt, or its successor: a plan that is started again may have stopped at a damaged buffer."""
        await self._buffer.tidy(receipt)
        broken = await self._buffer.broken(receipt) if order.run else frozenset()
        if not broken:
            return receipt
        async with self._turns:
            log.warning("buffer-damaged", sealed_id=order.sealed_id, parts=len(broken))
            metrics().count("causeway_packs_total", outcome="repaired")
            return await self._sealing.repair(order, await self._inputs.open(order), receipt, broken)
