"""Blobs in an object store (S3, Azure Blob, Google Cloud Storage) through obstore.

A put is one conditional create (``If-None-Match: *``), its SHA-256 sent as checksum and signed, and kept as metadata.
The client repeats a create whose answer was lost and then meets its own object, so "already exists" is settled by
size and digest. Retries here are few: the caller's message comes again, with a longer view than one request has.
"""

import asyncio
import contextlib
import hashlib
import io
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from shared.storage.errors import BlobCorrupt, BlobExists, BlobMissing, StoreRefused, StoreUnavailable
from shared.storage.port import CHUNK, BlobStat, Bytes, check_key, check_prefix, check_range, check_size, digest

CLIENT: dict[str, Any] = {
    "connect_timeout": timedelta(seconds=5),
    # Both clocks also run while a request is being sent: 64 MiB must pass at half a megabyte a second.
    "timeout": timedelta(seconds=150),
    "read_timeout": timedelta(seconds=150),
}
RETRY: dict[str, Any] = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}

_PATIENCE = 20.0  # seconds for an answer that carries no bytes
_SLOWEST = 512 * 1024  # bytes per second below which a link counts as dead


class ObjectStore:
    """A bucket, or a prefix of one. ``store`` is an obstore store; ``storage_class`` is given to every put."""

    def __init__(self, store: Any, *, storage_class: str | None = None, patience: float = _PATIENCE) -> None:
        self._store = store
        self._attributes = {"Storage-Class": storage_class} if storage_class else {}
        self._patience = patience

    async def put(self, key: str, data: Bytes, *, sha256: str | None = None) -> None:
        check_key(key)
        known = await asyncio.to_thread(_checked_digest, key, data, sha256)
        try:
            async with self._bounded(key, len(data)):
                await obstore.put_async(
                    self._store, key, data, mode="create", attributes={**self._attributes, "sha256": known}
                )
        except (AlreadyExistsError, PreconditionError):
            await self._compare(key, len(data), known)
        except BlobMissing:  # nothing is missing for a create but its bucket
            raise StoreRefused from None

    async def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        value = io.BytesIO()  # hands its buffer over without a copy: 64 MiB stay 64 MiB
        async for chunk in self.stream(key, start, length):
            value.write(chunk)
        return value.getvalue()

    async def stream(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        check_range(start, length)
        if length == 0:
            await self.head(key)
            return
        try:
            answer = await self._ask(key, _options(start, length))
        except StoreUnavailable:  # also what a range behind the end comes to
            if start >= (await self.head(key)).size:
                return
            raise
        async for chunk in self._chunks(key, answer):
            yield chunk

    async def head(self, key: str) -> BlobStat:
        async with self._bounded(check_key(key)):
            found = await obstore.get_async(self._store, key, options={"head": True})
        return BlobStat(key, found.meta["size"], found.attributes.get("sha256"))

    async def delete(self, key: str) -> None:
        check_key(key)
        with contextlib.suppress(BlobMissing):
            async with self._bounded(key):
                await obstore.delete_async(self._store, key)

    async def list(self, prefix: str = "") -> AsyncIterator[BlobStat]:
        pages = aiter(obstore.list(self._store, check_prefix(prefix) or None, chunk_size=500))
        while True:
            try:
                async with self._bounded(prefix):
                    page = await anext(pages)
            except StopAsyncIteration:
                return
            for found in page:
                yield BlobStat(found["path"], found["size"])

    async def _ask(self, key: str, options: dict[str, Any]) -> Any:
        async with self._bounded(check_key(key), CHUNK):
            return await obstore.get_async(self._store, key, options=options)

    async def _chunks(self, key: str, answer: Any) -> AsyncIterator[bytes]:
        pieces = aiter(answer.stream(min_chunk_size=CHUNK))
        while True:
            try:
                async with self._bounded(key, CHUNK):
                    piece = memoryview(await anext(pieces))
            except StopAsyncIteration:
                return
            for offset in range(0, len(piece), CHUNK):
                yield bytes(piece[offset : offset + CHUNK])

    async def _compare(self, key: str, size: int, sha256: str) -> None:
        """Quiet when the object is ours by size and digest; one without a digest is read."""
        found = await self.head(key)
        if found.size != size or (found.sha256 or await self._digest(key)) != sha256:
            raise BlobExists(key)

    async def _digest(self, key: str) -> str:
        state = hashlib.sha256()
        async for chunk in self.stream(key):
            state.update(chunk)
        return state.hexdigest()

    @contextlib.asynccontextmanager
    async def _bounded(self, key: str, size: int = 0) -> AsyncIterator[None]:
        """A dead peer that neither answers nor refuses is unavailable after a time that grows with ``size`` alone."""
        try:
            async with asyncio.timeout(self._patience + size / _SLOWEST):
                with _translated(key):
                    yield
        except TimeoutError:
            raise StoreUnavailable("store-silent") from None


def _checked_digest(key: str, data: Bytes, sha256: str | None) -> str:
    check_size(key, data)
    known = digest(data)
    if sha256 not in (None, known):
        raise BlobCorrupt(key)
    return known


def _options(start: int, length: int | None) -> dict[str, Any]:
    if length is not None:
        return {"range": (start, start + length)}
    return {"range": {"offset": start}} if start else {}


@contextlib.contextmanager
def _translated(key: str) -> Iterator[None]:
    """Errors of the client name addresses, buckets and answers; what leaves the store does not."""
    try:
        yield
    except (AlreadyExistsError, PreconditionError):
        raise
    except (NotFoundError, FileNotFoundError):
        raise BlobMissing(key) from None
    except (PermissionDeniedError, UnauthenticatedError):
        raise StoreRefused from None
    except (BaseError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise StoreUnavailable from None
