"""Closed batches go to the landing store and onto the bus."""

import asyncio
import hashlib
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from contracts.events import AssociationEnded, Batch, BatchStored, Blob
from contracts.formats.archive import iterate
from contracts.formats.manifest import Instance, read_manifest
from services.dicom_ingest.domain.chunks import Chunks
from services.dicom_ingest.ports import Describer, Publisher, SpooledBatch
from shared.identity import SiteKey
from shared.messaging.tracing import context_of
from shared.observability import tracer
from shared.storage import BlobExists, BlobMissing, BlobStore, put_parts, read_parts
from shared.storage.parts import part_key

_CHUNK = 1024 * 1024
#: Headers of a batch that are held in memory before they go to a file, bytes.
_HEADERS_IN_MEMORY = 8 * 1024 * 1024


#: Stores a finished file as a value of parts and gives its size in bytes.
PutFile = Callable[[str, Path], Awaitable[int]]

#: What lies beside a batch's manifest: the event that told of it, and the mark that its archive was released.
EVENT, RELEASED = "event", "released"


def landing_folder(site_key: SiteKey, batch_id: str) -> str:
    """Where a batch lies in the landing store."""
    return site_key.storage_key("identified", "batch", batch_id)


def stored_event_id(site_key: SiteKey, batch_id: str) -> str:
    """The id of a batch's ``batch.stored``, however often it is told."""
    return site_key.event_id(BatchStored.subject, batch_id)


class Landing:
    """Brings batches to the landing store, and releases them."""

    def __init__(
        self,
        *,
        store: BlobStore,
        bus: Publisher,
        site_key: SiteKey,
        describer: Describer,
        scratch: Path,
        put_file: PutFile,
        passed: Callable[[str], None],
    ) -> None:
        """``scratch`` is a folder for temporary files; ``passed`` is told of each step that was passed."""
        self._store = store
        self._bus = bus
        self._site_key = site_key
        self._describer = describer
        self._scratch = scratch
        self._put_file = put_file
        self._passed = passed

    async def land(self, batch: SpooledBatch) -> None:
        """Return when the batch lies in the store and the stream has its event; RetryLater, and it may be repeated.

        Everything is a function of the batch file and the site key, so a repeat finds its own bytes there. A batch
        that a crash left in the spool until its archive was released is not landed again. RecordDamaged when the disk
        has changed a record since it was acknowledged.
        """
        opening = batch.opening
        if await self._is_released(opening.batch_id):
            return
        with (
            tracer().start_as_current_span("land batch", context_of(opening.traceparent)) as span,
            tempfile.SpooledTemporaryFile(max_size=_HEADERS_IN_MEMORY, dir=str(self._scratch)) as headers,
        ):
            described = await self._describer.describe(batch, headers)
            span.set_attributes({"batch_id": opening.batch_id, "instances": len(batch.records)})
            event = BatchStored(
                batch=await self._put(batch, described.manifest, headers),
                study_uid=described.study_uid,
                study_ref=described.study_ref,
                opened=opening.opened,
                closed=max(record.arrival.received for record in batch.records),
                quiet=max((record.arrival.quiet for record in batch.records if record.arrival.quiet), default=None),
            )
            await self._keep(event)
            self._passed("landing.event")
            await self._bus.publish(event, id=stored_event_id(self._site_key, opening.batch_id))

    async def _is_released(self, batch_id: str) -> bool:
        try:
            await self._store.head(part_key(f"{landing_folder(self._site_key, batch_id)}/{RELEASED}", 1))
        except BlobMissing:
            return False
        return True

    async def _keep(self, event: BatchStored) -> None:
        """The event lies beside the batch, so that it can be told again when the bus has lost it."""
        key = f"{landing_folder(self._site_key, event.batch.batch_id)}/{EVENT}"
        with suppress(BlobExists):
            await self._store.put(part_key(key, 1), event.model_dump_json().encode())

    async def association_ended(self, event: AssociationEnded, traceparent: str | None) -> None:
        """Return when the stream has it; RetryLater while the bus is away."""
        event_id = self._site_key.event_id(AssociationEnded.subject, event.association_id)
        await self._bus.publish(event, id=event_id, traceparent=traceparent)

    async def _put(self, batch: SpooledBatch, manifest: bytes, headers: IO[bytes]) -> Batch:
        folder = landing_folder(self._site_key, batch.opening.batch_id)
        headers.seek(0)
        archive, lines = await asyncio.gather(
            self._archive(f"{folder}/instances", batch, manifest),
            self._blob(f"{folder}/headers", Chunks(iter(lambda: headers.read(_CHUNK), b""), hashlib.sha256())),
        )
        self._passed("landing.archive")
        # The manifest is last: where it lies, all of the batch does.
        told = await self._blob(f"{folder}/manifest", Chunks([manifest], hashlib.sha256()))
        self._passed("landing.manifest")
        return Batch(
            batch_id=batch.opening.batch_id,
            manifest=told,
            headers=lines,
            archive=archive,
            instances=len(batch.records),
            size=archive.size,
        )

    async def _archive(self, key: str, batch: SpooledBatch, manifest: bytes) -> Blob:
        if batch.archive is not None:
            return Blob(store="landing", key=key, size=await self._put_file(key, batch.archive))
        instances = read_manifest([manifest]).instances
        by_entry = dict(zip((each.entry for each in instances), batch.records, strict=True))

        def open_file(instance: Instance) -> Iterable[bytes]:
            record = by_entry[instance.entry]
            for at in range(0, record.length, _CHUNK):
                yield batch.read(record.offset + at, min(_CHUNK, record.length - at))

        return await self._blob(key, Chunks(iterate(instances, open_file)))

    async def _blob(self, key: str, chunks: Chunks) -> Blob:
        """Store a value. What an older version of this code put there of the same batch is as good, and stays."""
        try:
            size = await put_parts(self._store, key, chunks)  # type: ignore[arg-type]
            return Blob(store="landing", key=key, size=size, sha256=chunks.sha256)
        except BlobExists:
            size = sum([blob.size async for blob in self._store.list(key)])
            return Blob(store="landing", key=key, size=size, sha256=await self._digest(key, size))

    async def _digest(self, key: str, size: int) -> str:
        digest = hashlib.sha256()
        async for chunk in read_parts(self._store, key, size):
            digest.update(chunk)
        return digest.hexdigest()
