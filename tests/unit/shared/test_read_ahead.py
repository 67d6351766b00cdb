"""Chunks of a stream of the event loop, worked on in a thread."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.storage.ahead import read_ahead


class Source:
    """Ten chunks; tells when it is closed."""

    def __init__(self, fails_at: int = 99) -> None:
        self.fails_at, self.given, self.closed = fails_at, 0, asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            for number in range(10):
                await asyncio.sleep(0)
                if number == self.fails_at:
                    raise ZeroDivisionError
                self.given += 1
                yield bytes([number])
        finally:
            self.closed.set()


async def test_a_thread_gets_every_chunk_in_order() -> None:
    source, loop = Source(), asyncio.get_running_loop()
    assert await asyncio.to_thread(list, read_ahead(source.chunks(), loop)) == [bytes([n]) for n in range(10)]
    await asyncio.wait_for(source.closed.wait(), 5)


async def test_an_error_of_the_source_reaches_the_thread() -> None:
    source, loop = Source(fails_at=3), asyncio.get_running_loop()
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(list, read_ahead(source.chunks(), loop))


async def test_no_more_than_one_chunk_is_read_ahead() -> None:
    source, loop = Source(), asyncio.get_running_loop()
    chunks = read_ahead(source.chunks(), loop)
    assert source.given == 0
    await asyncio.to_thread(next, chunks)
    await asyncio.sleep(0.05)
    assert source.given == 2
    await asyncio.to_thread(chunks.close)  # type: ignore[attr-defined]


async def test_what_is_abandoned_on_the_loop_itself_is_closed_without_waiting() -> None:
    """The last reference may fall on the loop's own thread, which must not wait for itself."""
    source, loop = Source(), asyncio.get_running_loop()
    chunks = read_ahead(source.chunks(), loop)
    await asyncio.to_thread(next, chunks)
    del chunks
    await asyncio.wait_for(source.closed.wait(), 5)
