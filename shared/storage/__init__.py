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
from shared.storage.measured import MeasuredStore
from shared.storage.memory import MemoryStore
from shared.storage.objects import ObjectStore
from shared.storage.opening import Credentials, open_store
from shared.storage.parts import PART_SIZE, PartsReader, delete_parts, put_parts, read_parts
from shared.storage.port import CHUNK, MAX_BLOB, BlobStat, BlobStore, Bytes

__all__ = [
    "CHUNK",
    "MAX_BLOB",
    "PART_SIZE",
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
    "MeasuredStore",
    "MemoryStore",
    "ObjectStore",
    "PartsReader",
    "StoreFull",
    "StoreRefused",
    "StoreUnavailable",
    "delete_parts",
    "open_store",
    "put_parts",
    "read_parts",
]
