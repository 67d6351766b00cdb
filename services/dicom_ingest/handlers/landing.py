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
from contracts.formats.manifest import Instance, Manifest, Source, place, write_manifest
from services.dicom_ingest.domain.chunks import Chunks
from services.dicom_ingest.domain.instance import Issuers, describe, without_study
from services.dicom_ingest.domain.json_model import Memory
from services.dicom_ingest.domain.records import Opening, Record
from services.dicom_ingest.ports import Publisher, SpooledBatch
from shared.identity import SiteKey
from shared.messaging.threads import in_thread
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
        issuers: Issuers,
        scratch: Path,
        put_file: PutFile,
        passed: Callable[[str], None],
    ) -> None:
        """``scratch`` is a folder for temporary files; ``passed`` is told of each step that was passed."""
        self._store = store
        self._bus = bus
        self._site_key = site_key
        self._issuers = issuers
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
            manifest = await in_thread(self._describe, batch, headers)
            span.set_attributes({"batch_id": opening.batch_id, "instances": len(manifest.instances)})
            event = BatchStored(
                batch=await self._put(batch, manifest, headers),
                study_uid=manifest.study_uid,
                study_ref=manifest.study_ref or "",
                opened=opening.opened,
                closed=max(record.arrival.received for record in batch.records),
            )
            await self._keep(event)
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

    def _describe(self, batch: SpooledBatch, headers: IO[bytes]) -> Manifest:
        """The batch's manifest; its headers are written to ``headers`` on the way."""
        instances: list[Instance] = []
        memory = Memory()
        for number, record in enumerate(batch.records, start=1):
            described = describe(record, batch.read, self._site_key, self._issuers, memory)
            headers.write(described.line(f"{number:06d}.dcm"))
            instances.append(described.instance)
        headers.seek(0)
        return self._manifest(batch.opening, batch.records, instances)

    def _manifest(self, opening: Opening, records: tuple[Record, ...], instances: list[Instance]) -> Manifest:
        study_uid = opening.study_uid if opening.shared else instances[0].study_uid
        first = records[0].arrival
        return Manifest(
            form="identified",
            id=opening.batch_id,
            study_uid=study_uid,
            study_ref=self._site_key.study_ref(study_uid or without_study(first)),
            source=Source(calling_ae=first.calling_ae, called_ae=first.called_ae, address=first.address),
            received=first.received,
            instances=tuple(place(instances)),
        )

    async def _put(self, batch: SpooledBatch, manifest: Manifest, headers: IO[bytes]) -> Batch:
        folder = landing_folder(self._site_key, batch.opening.batch_id)
        archive, lines = await asyncio.gather(
            self._archive(f"{folder}/instances", batch, manifest),
            self._blob(f"{folder}/headers", Chunks(iter(lambda: headers.read(_CHUNK), b""), hashlib.sha256())),
        )
        self._passed("landing.archive")
        # The manifest is last: where it lies, all of the batch does.
        told = await self._blob(f"{folder}/manifest", Chunks([write_manifest(manifest)], hashlib.sha256()))
        self._passed("landing.manifest")
        return Batch(
            batch_id=batch.opening.batch_id,
            manifest=told,
            headers=lines,
            archive=archive,
            instances=len(manifest.instances),
            size=archive.size,
        )

    async def _archive(self, key: str, batch: SpooledBatch, manifest: Manifest) -> Blob:
        if batch.archive is not None:
            return Blob(store="landing", key=key, size=await self._put_file(key, batch.archive))
        by_entry = dict(zip((each.entry for each in manifest.instances), batch.records, strict=True))

        def open_file(instance: Instance) -> Iterable[bytes]:
            record = by_entry[instance.entry]
            for at in range(0, record.length, _CHUNK):
                yield batch.read(record.offset + at, min(_CHUNK, record.length - at))

        return await self._blob(key, Chunks(iterate(manifest.instances, open_file)))

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
