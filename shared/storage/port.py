"""The port that every store of bytes answers to, and what a key is."""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from shared.storage.errors import BadKey, BlobCorrupt, BlobTooLarge

#: The largest value of one put, bytes. Conditional creates know no multipart: the whole value is in memory.
MAX_BLOB = 64 * 1024 * 1024

#: The largest chunk that ``stream`` yields, bytes.
CHUNK = 1024 * 1024

#: No segment starts with a dot, so neither ``..`` nor a hidden name can be a key.
_SEGMENT = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}"
_KEY = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_MAX_KEY = 512

Bytes: TypeAlias = bytes | bytearray | memoryview


@dataclass(frozen=True)
class BlobStat:
    """What a store says of a blob: size in bytes; SHA-256 in hexadecimal where the store keeps it."""

    key: str
    size: int
    sha256: str | None = None


@runtime_checkable
class BlobStore(Protocol):
    """Write-once blobs of at most 64 MiB under keys such as ``a/b/c``; no key is a folder of another.

    Each method raises StoreUnavailable when the store does not answer in bounded time, and BadKey for what is no key.
    """

    async def put(self, key: str, data: Bytes, *, sha256: str | None = None) -> None:
        """Create ``key``; durable on return. A repeat with the same bytes is quiet.

        ``sha256`` is checked against ``data`` (BlobCorrupt) and kept with the blob. BlobExists when other bytes lie
        there, BlobTooLarge over MAX_BLOB, StoreFull without room.
        """
        ...

    async def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Bytes ``start`` to ``start + length``, fewer where the blob ends before; BlobMissing."""
        ...

    def stream(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The same bytes in chunks of at most CHUNK bytes; BlobMissing at the first."""
        ...

    async def head(self, key: str) -> BlobStat:
        """Size and, where known, digest; BlobMissing."""
        ...

    async def delete(self, key: str) -> None:
        """Remove ``key``; quiet when it is not there."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[BlobStat]:
        """Every blob in the folder ``prefix`` (whole segments; empty for all), in any order, digests left out."""
        ...


def check_key(key: str) -> str:
    """``key`` itself, or BadKey."""
    if len(key) > _MAX_KEY or not _KEY.fullmatch(key):
        raise BadKey(key)
    return key


def check_prefix(prefix: str) -> str:
    """``prefix`` without a slash at its end, or BadKey; empty stands for the whole store."""
    return check_key(prefix.removesuffix("/")) if prefix else ""


def check_range(start: int, length: int | None) -> None:
    """ValueError for a range that no caller can mean."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError("a range starts at zero or later and has no negative length")


def check_size(key: str, data: Bytes) -> None:
    """BlobTooLarge over MAX_BLOB bytes."""
    if len(data) > MAX_BLOB:
        raise BlobTooLarge(key)


def check_value(key: str, data: Bytes, sha256: str | None) -> None:
    """BlobTooLarge, or BlobCorrupt when ``data`` has not the digest ``sha256``."""
    check_size(key, data)
    if sha256 is not None and digest(data) != sha256:
        raise BlobCorrupt(key)


def digest(data: Bytes) -> str:
    """SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file in lower-case hexadecimal; it is never in memory as a whole. OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
