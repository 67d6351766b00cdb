"""A store that counts what passes through it."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from shared.errors import CausewayError
from shared.observability import Metrics, metrics
from shared.storage.port import BlobStat, BlobStore, Bytes


class MeasuredStore:
    """``store`` under the name ``name`` in the metrics ``causeway_store_…``."""

    def __init__(self, store: BlobStore, name: str, measures: Metrics | None = None) -> None:
        self._store = store
        self._name = name
        self._metrics = measures or metrics()

    async def put(self, key: str, data: Bytes, *, sha256: str | None = None) -> None:
        with self._measured("put"):
            await self._store.put(key, data, sha256=sha256)
        self._moved("put", len(data))

    async def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        with self._measured("get"):
            data = await self._store.get(key, start, length)
        self._moved("get", len(data))
        return data

    async def stream(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        with self._measured("stream"):
            async for chunk in self._store.stream(key, start, length):
                self._moved("stream", len(chunk))
                yield chunk

    async def head(self, key: str) -> BlobStat:
        with self._measured("head"):
            return await self._store.head(key)

    async def delete(self, key: str) -> None:
        with self._measured("delete"):
            await self._store.delete(key)

    async def list(self, prefix: str = "") -> AsyncIterator[BlobStat]:
        with self._measured("list"):
            async for blob in self._store.list(prefix):
                yield blob

    def _moved(self, operation: str, size: int) -> None:
        self._metrics.count("causeway_store_bytes_total", size, store=self._name, operation=operation)

    @contextmanager
    def _measured(self, operation: str) -> Iterator[None]:
        start, outcome = time.perf_counter(), "ok"
        try:
            yield
        except CausewayError as error:
            outcome = error.reason
            raise
        finally:
            seconds, name = time.perf_counter() - start, self._name
            self._metrics.count("causeway_store_operations_total", store=name, operation=operation, outcome=outcome)
            self._metrics.observe("causeway_store_seconds", seconds, store=name, operation=operation)
