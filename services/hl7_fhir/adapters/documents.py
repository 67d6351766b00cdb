"""Summaries of studies, from the store that the catalogue owns."""

from contracts.events import Blob
from shared.errors import CausewayError
from shared.storage import BlobMissing, BlobStore
from shared.storage.parts import read_parts


class StoredSummaries:
    """The documents behind the claim checks of studies."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    async def read(self, blob: Blob) -> bytes:
        """The document. It was durable before anybody heard of it: while it is missing, try again, not for ever."""
        try:
            return b"".join([chunk async for chunk in read_parts(self._store, blob.key, blob.size)])
        except BlobMissing:
            raise CausewayError("study-summary-missing") from None
