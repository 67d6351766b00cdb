"""Manifests, headers and summaries in the stores."""

import json
from collections.abc import AsyncIterator, Mapping

from contracts.events import Batch, Blob
from contracts.formats.headers import Header, parse_line
from contracts.formats.lines import LineSplitter
from contracts.formats.manifest import Manifest, read_manifest
from shared.storage.parts import put_parts, read_parts
from shared.storage.port import BlobStore, digest


class StoredDocuments:
    """Documents behind claim checks; ``stores`` by the name that a Blob bears."""

    def __init__(self, stores: Mapping[str, BlobStore]) -> None:
        self._stores = stores

    def _chunks(self, blob: Blob) -> AsyncIterator[bytes]:
        return read_parts(self._stores[blob.store], blob.key, blob.size)

    async def manifest(self, blob: Blob) -> Manifest:
        """A manifest; ManifestBroken when it is none."""
        return read_manifest([chunk async for chunk in self._chunks(blob)])

    async def headers(self, batch: Batch) -> AsyncIterator[Header]:
        """The headers of a batch in the order of its instances, one in memory at a time."""
        splitter = LineSplitter()
        async for chunk in self._chunks(batch.headers):
            for line in splitter.feed(chunk):
                yield parse_line(line)
        splitter.finish()

    async def links(self, blob: Blob) -> list[dict[str, str]]:
        """Which original instance became which entry of a de-identified pack."""
        found: list[dict[str, str]] = json.loads(b"".join([chunk async for chunk in self._chunks(blob)]))
        return found

    async def references(self, blob: Blob) -> tuple[str, ...]:
        """The SOP Instance UIDs that a procedure step made."""
        found = json.loads(b"".join([chunk async for chunk in self._chunks(blob)]))
        return tuple(map(str, found["sop_instance_uids"]))

    async def keep_summary(self, key: str, document: bytes) -> Blob:
        """Make a summary durable and give its claim check."""
        await put_parts(self._stores["summaries"], key, document)
        return Blob(store="summaries", key=key, size=len(document), sha256=digest(document))
