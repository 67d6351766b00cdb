"""A finished batch file goes to the landing store: by a second name on the same disk, or else as a copy."""

from pathlib import Path

from shared.messaging.threads import in_thread
from shared.storage import PART_SIZE, BlobStore, FilesystemStore, put_parts
from shared.storage.parts import part_key


class Archives:
    """The landing store for files that nobody writes to any longer."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    async def put(self, key: str, path: Path) -> int:
        """Store ``path``, which is synced, under ``key``; its size in bytes. Errors as ``BlobStore.put``."""
        size = (await in_thread(path.stat)).st_size
        if size <= PART_SIZE and isinstance(self._store, FilesystemStore):  # noqa: SIM102 - mypy narrows only here
            if await self._store.link(part_key(key, 1), path):
                return size
        return await put_parts(self._store, key, path)
