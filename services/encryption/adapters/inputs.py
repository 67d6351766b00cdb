"""Plain bytes from the landing store and the de-identification work area."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

from contracts.events import Blob
from services.encryption.domain.orders import SealOrder, Source
from services.encryption.domain.plaintext import Batch, Pack, assemble, checked_manifest, kept_of, size_of_kept
from shared.messaging.threads import in_thread
from shared.storage import BlobStore
from shared.storage.ahead import read_ahead
from shared.storage.parts import part_count, part_key, read_parts


class StoredInputs:
    """Opens the batches of an order where their events say they lie; ``stores`` by the names that events use."""

    def __init__(self, stores: Mapping[str, BlobStore]) -> None:
        self._stores = stores

    async def open(self, order: SealOrder) -> Pack:
        batches = [await self._batch(source) for source in order.sources]
        return await in_thread(assemble, order.pack_id, batches)

    async def _batch(self, source: Source) -> Batch:
        blob = source.manifest
        chunks = [chunk async for chunk in read_parts(self._stores[blob.store], blob.key, blob.size)]
        manifest = await in_thread(checked_manifest, b"".join(chunks), blob.sha256)
        # What was released, or lost in part, shows now, before anything is sealed.
        for each in (source.headers, source.archive):
            for number in range(1, part_count(each.size) + 1):
                await self._stores[each.store].head(part_key(each.key, number))
        kept, left_out = kept_of(manifest, source.left_out, source.instances)
        open_headers, size = self._opener(source.headers), source.headers.size
        return Batch(
            manifest=kept,
            headers=open_headers,
            headers_size=await in_thread(size_of_kept, open_headers(), left_out) if left_out else size,
            headers_sha256=source.headers.sha256,
            archive=self._opener(source.archive),
            left_out=left_out,
        )

    def _opener(self, blob: Blob) -> Callable[[], Iterator[bytes]]:
        """Opens ``blob`` for a worker thread."""
        loop = asyncio.get_running_loop()
        return lambda: read_ahead(read_parts(self._stores[blob.store], blob.key, blob.size), loop)
