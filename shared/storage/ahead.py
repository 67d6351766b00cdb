"""Chunks of an asynchronous stream for a worker thread, the next one on its way while the last is worked on."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import Future


class _Feed:
    """The stream as its loop sees it; a generator that is being read can't be closed, hence the lock."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._turn = asyncio.Lock()

    async def next(self) -> bytes | None:
        async with self._turn:
            return await anext(self._chunks, None)

    async def close(self) -> None:
        async with self._turn:
            if isinstance(self._chunks, AsyncGenerator):
                await self._chunks.aclose()


def read_ahead(chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    """The chunks, in order, for a thread that is not ``loop``'s; at most two are in memory.

    Nothing is read before the first is asked for. Errors of ``chunks`` are raised here; it is closed in the end.
    """
    feed = _Feed(chunks)

    def fetch() -> "Future[bytes | None]":
        return asyncio.run_coroutine_threadsafe(feed.next(), loop)

    coming = fetch()
    try:
        while (chunk := coming.result()) is not None:
            coming = fetch()
            yield chunk
    finally:
        # Not waited for: an abandoned generator ends in whatever thread drops it last, which may be the loop's own.
        if not loop.is_closed():
            asyncio.run_coroutine_threadsafe(feed.close(), loop)
