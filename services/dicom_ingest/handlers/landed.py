"""What becomes of landed batches: the plain bytes of archived ones leave, lost events are told again."""

from contracts.events import BatchArchived, BatchOverdue, BatchStored
from services.dicom_ingest.handlers.landing import EVENT, RELEASED, landing_folder, stored_event_id
from services.dicom_ingest.ports import Publisher
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received
from shared.observability import logger
from shared.storage import BlobMissing, BlobStore
from shared.storage.parts import part_key

log = logger("dicom_ingest.landed")


class Landed:
    """Hears what the ledger says of batches in the landing store."""

    def __init__(self, *, store: BlobStore, bus: Publisher, site_key: SiteKey) -> None:
        self._store = store
        self._bus = bus
        self._site_key = site_key

    async def batch_archived(self, received: Received[BatchArchived]) -> None:
        """Delete the archive. Manifest and headers stay: who indexes them may be behind, or start over at any age."""
        folder = landing_folder(self._site_key, received.data.batch_id)
        await self._store.put(part_key(f"{folder}/{RELEASED}", 1), b"")
        found = [blob.key async for blob in self._store.list(f"{folder}/instances")]
        for key in sorted(found, reverse=True):
            await self._store.delete(key)

    async def batch_overdue(self, received: Received[BatchOverdue]) -> None:
        """Tell again of a batch whose ``batch.stored`` the ledger never heard; one in the spool is told anyway."""
        batch_id = received.data.batch_id
        if all(waiting.step != "batch.stored" for waiting in received.data.waiting_for):
            return
        try:
            told = await self._store.get(part_key(f"{landing_folder(self._site_key, batch_id)}/{EVENT}", 1))
        except BlobMissing:
            log.warning("lost-batch-not-landed", batch_id=batch_id)
            return
        await self._bus.publish(BatchStored.model_validate_json(told), id=stored_event_id(self._site_key, batch_id))
        log.info("batch-told-again", batch_id=batch_id)
