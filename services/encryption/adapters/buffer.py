"""The sealing buffer: parts of attempts, and the receipts that make one of them count.

::

    receipts/<pack id>/<sealed id>/0001     the commit point; 0002 … when parts had to be made again
    parts/<sealed id>/0001-<random>/0001 …  ciphertext, at most 64 MiB each, of an attempt at that receipt
    released/<sealed id>                    the parts are gone because every copy is proven
"""

import hashlib
import secrets
from contextlib import suppress

from contracts.events import Part
from services.encryption.domain.orders import Receipt, SealOrder
from services.encryption.domain.sealing import CipherPart
from shared.storage import BlobExists, BlobMissing, BlobStore

_RELEASED = b'{"format":"causeway.released/1"}'


class SealingBuffer:
    """The buffer in a store."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    async def receipt(self, order: SealOrder) -> Receipt | None:
        return await self.newest(order.pack_id, order.sealed_id)

    async def newest(self, pack_id: str, sealed_id: str) -> Receipt | None:
        """The newest receipt of a pack under one domain."""
        keys = [blob.key async for blob in self._store.list(f"receipts/{pack_id}/{sealed_id}")]
        return Receipt.model_validate_json(await self._store.get(max(keys))) if keys else None

    async def sealings(self, pack_id: str) -> list[Receipt]:
        """The newest receipt of a pack under each domain that it was sealed for."""
        folders = {blob.key.rsplit("/", 1)[0] async for blob in self._store.list(f"receipts/{pack_id}")}
        found = [await self.newest(pack_id, folder.rsplit("/", 1)[1]) for folder in sorted(folders)]
        return [receipt for receipt in found if receipt is not None]

    async def commit(self, receipt: Receipt) -> Receipt:
        """Make ``receipt`` count, unless another one of its generation does: the one that counts."""
        sealed = receipt.sealed
        folder = f"receipts/{sealed.pack_id}/{sealed.sealed_id}"
        with suppress(BlobExists):
            await self._store.put(f"{folder}/{receipt.generation:04d}", receipt.model_dump_json().encode())
            return receipt
        return Receipt.model_validate_json(await self._store.get(f"{folder}/{receipt.generation:04d}"))

    def attempt(self, sealed_id: str, generation: int) -> "Attempt":
        """A new attempt at the receipt of ``generation``, in a folder that nobody else writes to."""
        return Attempt(self._store, f"parts/{sealed_id}/{generation:04d}-{secrets.token_hex(8)}")

    async def broken(self, receipt: Receipt) -> frozenset[int]:
        if await self._released(receipt.sealed.sealed_id):
            return frozenset()
        return frozenset({part.number for part in receipt.sealed.parts if await self._digest(part.key) != part.sha256})

    async def tidy(self, receipt: Receipt) -> None:
        wanted = {part.key for part in receipt.sealed.parts}
        folder = f"parts/{receipt.sealed.sealed_id}"
        # An attempt at a later receipt may be under way in another process; it is not ours to judge.
        later = f"{folder}/{receipt.generation + 1:04d}"
        async for blob in self._store.list(folder):
            if blob.key not in wanted and blob.key < later:
                await self._store.delete(blob.key)

    async def release(self, sealed_id: str) -> None:
        # The mark first: from then on a missing part is no damage.
        await self._store.put(f"released/{sealed_id}", _RELEASED)
        async for blob in self._store.list(f"parts/{sealed_id}"):
            await self._store.delete(blob.key)

    async def _released(self, sealed_id: str) -> bool:
        try:
            await self._store.head(f"released/{sealed_id}")
        except BlobMissing:
            return False
        return True

    async def _digest(self, key: str) -> str | None:
        state = hashlib.sha256()
        try:
            async for chunk in self._store.stream(key):
                state.update(chunk)
        except BlobMissing:
            return None
        return state.hexdigest()


class Attempt:
    """Parts that count for nothing until a receipt names them."""

    def __init__(self, store: BlobStore, folder: str) -> None:
        self._store = store
        self._folder = folder

    async def put(self, part: CipherPart) -> Part:
        """The part, durable, as an event tells it."""
        placed = part.at(f"{self._folder}/{part.number:04d}")
        await self._store.put(placed.key, part.data)
        return placed

    async def abandon(self) -> None:
        """Remove what was put."""
        async for blob in self._store.list(self._folder):
            await self._store.delete(blob.key)
