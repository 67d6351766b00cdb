"""What claim checks stand for, from the stores that other services own."""

from collections.abc import Mapping

from contracts.events import Blob
from services.forwarding.domain.forwards import InputMissing
from shared.storage import BlobMissing, BlobStore
from shared.storage.parts import read_parts


class StoredDocuments:
    """Small documents; ``stores`` by the name that a Blob bears."""

    def __init__(self, stores: Mapping[str, BlobStore]) -> None:
        self._stores = stores

    async def read(self, blob: Blob) -> bytes:
        try:
            return b"".join([chunk async for chunk in read_parts(self._stores[blob.store], blob.key, blob.size)])
        except BlobMissing:
            raise InputMissing from None
