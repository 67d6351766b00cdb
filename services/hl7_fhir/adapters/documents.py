"""Summaries of studies, from the store that the catalogue owns."""

from contracts.events import Blob
from shared.errors import RetryLater
from shared.storage import BlobMissing, BlobStore
from shared.storage.parts import read_parts


class StoredSummaries:
    """The documents behind the claim checks of studies."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    async def read(self, blob: Blob) -> bytes:
        """The document; RetryLater while it is not there: it was durable before anybody heard of it."""
        try:
            return b"".join([chunk async for chunk in read_parts(self._store, blob.key, blob.size)])
        except BlobMissing:
            raise RetryLater("study-summary-missing") from None
