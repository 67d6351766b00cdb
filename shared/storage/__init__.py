"""Stores of bytes behind one port."""

from shared.storage.errors import (
    BadKey,
    BlobCorrupt,
    BlobError,
    BlobExists,
    BlobMissing,
    BlobTooLarge,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from shared.storage.filesystem import FilesystemStore
from shared.storage.memory import MemoryStore
from shared.storage.objects import ObjectStore
from shared.storage.opening import Credentials, open_store
from shared.storage.port import CHUNK, MAX_BLOB, BlobStat, BlobStore, Bytes

__all__ = [
    "CHUNK",
    "MAX_BLOB",
    "BadKey",
    "BlobCorrupt",
    "BlobError",
    "BlobExists",
    "BlobMissing",
    "BlobStat",
    "BlobStore",
    "BlobTooLarge",
    "Bytes",
    "Credentials",
    "FilesystemStore",
    "MemoryStore",
    "ObjectStore",
    "StoreFull",
    "StoreRefused",
    "StoreUnavailable",
    "open_store",
]
