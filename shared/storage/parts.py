"""Values of any length as parts ``<key>/0001``, ``<key>/0002`` …, each of PART_SIZE bytes but the last.

An empty value is one empty part. What a caller knows of a value is its key and its size; both make the parts.
"""

import asyncio
import contextlib
import io
import mmap
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import BinaryIO

from shared.storage.errors import StoreUnavailable
from shared.storage.filesystem import FilesystemStore
from shared.storage.port import CHUNK, MAX_BLOB, BlobStore, Bytes

PART_SIZE = MAX_BLOB
#: A value up to here is put at once; of a longer one so much is read at a time, bytes.
_PIECE = CHUNK

Source = BinaryIO | Path | bytes | AsyncIterator[bytes]


def part_key(key: str, number: int) -> str:
    """The key of part ``number``, counted from 1."""
    return f"{key}/{number:04d}"


def part_count(size: int) -> int:
    """How many parts a value of ``size`` bytes has, at least one."""
    return max(1, -(-size // PART_SIZE))


def part_ranges(size: int, start: int = 0, length: int | None = None) -> Iterator[tuple[int, int, int]]:
    """``(part number, start within it, length)`` of bytes ``start`` to ``start + length`` of a value of ``size``."""
    end = size if length is None else min(size, start + length)
    while start < end:
        number, offset = divmod(start, PART_SIZE)
        taken = min(PART_SIZE - offset, end - start)
        yield number + 1, offset, taken
        start += taken


async def put_parts(store: BlobStore, key: str, source: Source) -> int:
    """Store all of ``source`` under ``key``, durable on return, and give its size in bytes.

    A repeat with the same bytes is quiet, BlobExists with others. One part is in memory at a time; where the store is a
    folder, only a piece of it.
    """
    if isinstance(store, FilesystemStore):
        async with contextlib.aclosing(_pieces(source)) as pieces:
            return await _put_pieces(store, key, pieces)
    size = number = 0
    async for part in _parts(source):
        number += 1
        await store.put(part_key(key, number), part)
        size += len(part)
    if number == 0:
        await store.put(part_key(key, 1), b"")
    return size


async def read_parts(
    store: BlobStore, key: str, size: int, start: int = 0, length: int | None = None
) -> AsyncIterator[bytes]:
    """Bytes ``start`` to ``start + length`` of a value of ``size`` bytes, in chunks of at most CHUNK bytes.

    BlobMissing without a part; StoreUnavailable when a part is shorter than ``size`` says, rather than a silent gap.
    """
    for number, offset, taken in part_ranges(size, start, length):
        async for chunk in store.stream(part_key(key, number), offset, taken):
            taken -= len(chunk)
            yield chunk
        if taken:
            raise StoreUnavailable("part-too-short")


async def delete_parts(store: BlobStore, key: str, size: int) -> None:
    """Remove every part, the last first: what is left after a crash is found again by the same call."""
    for number in range(part_count(size), 0, -1):
        await store.delete(part_key(key, number))


class PartsReader(io.BufferedReader):
    """A value as a blocking, seekable file, for code in threads such as zipfile; reads at least CHUNK bytes at once.

    Never to be used on ``loop``'s own thread, which it waits for.
    """

    def __init__(self, store: BlobStore, key: str, size: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(_RawParts(store, key, size, loop), buffer_size=CHUNK)


class _RawParts(io.RawIOBase):
    def __init__(self, store: BlobStore, key: str, size: int, loop: asyncio.AbstractEventLoop) -> None:
        self._store, self._key, self._size, self._loop = store, key, size, loop
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = next(part_ranges(self._size, self._position, len(buffer)), None)
        if wanted is None:
            return 0
        number, offset, length = wanted
        future = asyncio.run_coroutine_threadsafe(
            self._store.get(part_key(self._key, number), offset, length), self._loop
        )
        try:
            data = future.result()
        except CancelledError:
            raise StoreUnavailable("reader-cancelled") from None
        if len(data) != length:
            raise StoreUnavailable("part-too-short")
        buffer[:length] = data
        self._position += length
        return length


async def _put_pieces(store: FilesystemStore, key: str, pieces: AsyncGenerator[Bytes, None]) -> int:
    """A small value at once, any other as it comes."""
    head = bytearray()
    async for piece in pieces:
        head += piece
        if len(head) > _PIECE:
            break
    else:
        await store.put(part_key(key, 1), head)
        return len(head)
    size, number, left = 0, 0, _Left(head, pieces)
    while await left.is_some():
        number += 1
        size += await store.put_pieces(part_key(key, number), left.part())
    return size


class _Left:
    """What is left of a value."""

    def __init__(self, head: Bytes, pieces: AsyncGenerator[Bytes, None]) -> None:
        self._piece, self._pieces = memoryview(head), pieces

    async def is_some(self) -> bool:
        """Whether there is more of it."""
        while not self._piece:
            piece = await anext(self._pieces, None)
            if piece is None:
                return False
            self._piece = memoryview(piece)
        return True

    async def part(self) -> AsyncIterator[Bytes]:
        """The next PART_SIZE bytes, or all."""
        room = PART_SIZE
        while room and await self.is_some():
            taken, self._piece = self._piece[:room], self._piece[room:]
            room -= len(taken)
            yield taken


async def _pieces(source: Source) -> AsyncGenerator[Bytes, None]:
    if isinstance(source, AsyncIterator):
        async for chunk in source:
            yield chunk
    elif isinstance(source, Path):
        with await asyncio.to_thread(source.open, "rb", 0) as opened:
            while piece := await asyncio.to_thread(opened.read, _PIECE):
                yield piece
    else:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


async def _parts(source: Source) -> AsyncIterator[memoryview]:
    if isinstance(source, bytes):
        source = io.BytesIO(source)
    if isinstance(source, Path):
        with await asyncio.to_thread(source.open, "rb", 0) as file:
            async for part in _parts_of_file(file):
                yield part
    elif isinstance(source, AsyncIterator):
        async for part in _parts_of_chunks(source):
            yield part
    else:
        async for part in _parts_of_file(source):
            yield part


async def _parts_of_file(file: BinaryIO) -> AsyncIterator[memoryview]:
    """Parts in one buffer that is used again: a part is gone when the next is asked for."""
    buffer = _buffer()
    while filled := await asyncio.to_thread(_fill, file, buffer):
        yield buffer[:filled]


def _buffer() -> memoryview:
    """Room for a part of which only what is written costs memory: a bytearray would be filled with zeros first."""
    return memoryview(mmap.mmap(-1, PART_SIZE))


def _fill(file: BinaryIO, buffer: memoryview) -> int:
    """Read until ``buffer`` is full or the file ends; a raw file may give less than asked before its end."""
    filled = 0
    while filled < len(buffer) and (count := file.readinto(buffer[filled:])):  # type: ignore[attr-defined]
        filled += count
    return filled


async def _parts_of_chunks(chunks: AsyncIterator[bytes]) -> AsyncIterator[memoryview]:
    """Likewise: two parts are never in memory at once."""
    buffer, filled = _buffer(), 0
    async for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            taken = rest[: PART_SIZE - filled]
            buffer[filled : filled + len(taken)] = taken
            filled, rest = filled + len(taken), rest[len(taken) :]
            if filled == PART_SIZE:
                yield buffer
                filled = 0
    if filled:
        yield buffer[:filled]
