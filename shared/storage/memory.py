"""Blobs in memory, for tests: passes the same suite as the stores that keep them."""

from collections.abc import AsyncIterator

from shared.storage.errors import BlobExists, BlobMissing
from shared.storage.port import CHUNK, BlobStat, Bytes, check_key, check_prefix, check_range, check_value


class MemoryStore:
    """A dictionary that answers to the BlobStore port."""

    def __init__(self) -> None:
        self._blobs: dict[str, tuple[bytes, str | None]] = {}

    async def put(self, key: str, data: Bytes, *, sha256: str | None = None) -> None:
        check_value(check_key(key), data, sha256)
        if self._blobs.setdefault(key, (bytes(data), sha256))[0] != data:
            raise BlobExists(key)

    async def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        return self._find(key)[0][start : None if length is None else start + length]

    async def stream(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        data = await self.get(key, start, length)
        for offset in range(0, len(data), CHUNK):
            yield data[offset : offset + CHUNK]

    async def head(self, key: str) -> BlobStat:
        data, sha256 = self._find(key)
        return BlobStat(key, len(data), sha256)

    async def delete(self, key: str) -> None:
        self._blobs.pop(check_key(key), None)

    async def list(self, prefix: str = "") -> AsyncIterator[BlobStat]:
        folder = check_prefix(prefix)
        for key, (data, _) in list(self._blobs.items()):
            if not folder or key.startswith(f"{folder}/"):
                yield BlobStat(key, len(data))

    def _find(self, key: str) -> tuple[bytes, str | None]:
        try:
            return self._blobs[check_key(key)]
        except KeyError:
            raise BlobMissing(key) from None
