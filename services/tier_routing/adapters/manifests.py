"""Manifests in the landing store."""

import hashlib

from contracts.events import Batch
from contracts.formats.errors import FormatError
from contracts.formats.manifest import Manifest, read_manifest
from shared.errors import Unprocessable
from shared.storage.parts import read_parts
from shared.storage.port import BlobStore


class LandingManifests:
    """Reads the manifests of landing batches."""

    def __init__(self, landing: BlobStore) -> None:
        self._landing = landing

    async def read(self, batch: Batch) -> Manifest:
        """The manifest of a batch; Unprocessable when it is not the one that the event speaks of."""
        blob = batch.manifest
        content = b"".join([chunk async for chunk in read_parts(self._landing, blob.key, blob.size)])
        if blob.sha256 and hashlib.sha256(content).hexdigest() != blob.sha256:
            raise Unprocessable("manifest-digest")
        try:
            manifest = read_manifest([content])
        except FormatError:
            raise Unprocessable("manifest-broken") from None
        if manifest.id != batch.batch_id or len(manifest.instances) != batch.instances or not manifest.instances:
            raise Unprocessable("manifest-mismatch")
        return manifest
