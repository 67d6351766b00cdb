"""Values longer than one blob."""

import asyncio
import hashlib
import io
import os
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.events import PART_SIZE as CONTRACT_PART_SIZE
from shared.storage import (
    CHUNK,
    PART_SIZE,
    BlobExists,
    BlobMissing,
    PartsReader,
    StoreUnavailable,
    delete_parts,
    put_parts,
    read_parts,
)

KEY = "identified/0af3"
LONG = PART_SIZE + 12_345


async def collected(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.fixture(scope="module")
def long_value() -> bytes:
    """A whole part and a bit."""
    block = os.urandom(CHUNK)
    return b"".join(bytes([number % 256]) + block[1:] for number in range(LONG // CHUNK + 1))[:LONG]


def test_parts_are_as_long_as_the_contracts_say():
    """The size of a part is one fact, told in the contracts and used here."""
    assert PART_SIZE == CONTRACT_PART_SIZE


@pytest.mark.parametrize("size", [1, 100, CHUNK, CHUNK + 1])
async def test_a_short_value_is_one_part(store, size):
    """What fits into one part comes back from one part."""
    data = os.urandom(size)
    assert await put_parts(store, KEY, data) == size
    assert [blob.key async for blob in store.list(KEY)] == [f"{KEY}/0001"]
    assert await collected(read_parts(store, KEY, size)) == data


async def test_an_empty_value_is_one_empty_part(store):
    """Nothing is stored as something, so that it can be told from a value that is missing."""
    assert await put_parts(store, KEY, b"") == 0
    assert (await store.head(f"{KEY}/0001")).size == 0
    assert await collected(read_parts(store, KEY, 0)) == b""
    await delete_parts(store, KEY, 0)
    assert [blob async for blob in store.list(KEY)] == []


@pytest.mark.parametrize("kind", ["path", "file", "chunks"])
async def test_a_long_value_comes_back_from_any_source(file_store, tmp_path: Path, long_value, kind):
    """A path, an open file and a stream of odd chunks make the same parts, each full but the last."""
    path = tmp_path / "value"
    path.write_bytes(long_value)
    source = {
        "path": lambda: path,
        "file": lambda: io.BytesIO(long_value),
        "chunks": lambda: pieces(long_value, 777_777),
    }
    assert await put_parts(file_store, KEY, source[kind]()) == LONG
    assert {blob.key[-4:]: blob.size async for blob in file_store.list(KEY)} == {
        "0001": PART_SIZE,
        "0002": 12_345,
    }
    digest = hashlib.sha256()
    async for chunk in read_parts(file_store, KEY, LONG):
        assert len(chunk) <= CHUNK
        digest.update(chunk)
    assert digest.digest() == hashlib.sha256(long_value).digest()


async def test_ranges_cross_parts(file_store, long_value):
    """A range that starts in one part and ends in another is read without a seam."""
    await put_parts(file_store, KEY, long_value)
    for start, length in [(PART_SIZE - 5, 10), (PART_SIZE, 3), (PART_SIZE - 1, None), (LONG - 3, 99), (LONG, 1)]:
        expected = long_value[start : None if length is None else start + length]
        assert await collected(read_parts(file_store, KEY, LONG, start, length)) == expected


async def test_a_repeat_is_quiet_and_resumes(memory_store, long_value):
    """After a crash between parts the same put fills what is missing; other bytes are refused."""
    await put_parts(memory_store, KEY, long_value)
    await memory_store.delete(f"{KEY}/0002")
    await put_parts(memory_store, KEY, long_value)
    assert (await memory_store.head(f"{KEY}/0002")).size == 12_345
    with pytest.raises(BlobExists):
        await put_parts(memory_store, KEY, b"other")


async def test_delete_removes_every_part(memory_store, long_value):
    """Nothing of a deleted value is left, and deleting it again is quiet."""
    await put_parts(memory_store, KEY, long_value)
    await delete_parts(memory_store, KEY, LONG)
    await delete_parts(memory_store, KEY, LONG)
    assert [blob async for blob in memory_store.list()] == []
    with pytest.raises(BlobMissing):
        await collected(read_parts(memory_store, KEY, LONG))


async def test_a_part_that_is_too_short_is_no_silent_gap(store):
    """A value that is shorter than it should be is an error, never a shorter value."""
    await store.put(f"{KEY}/0001", b"short")
    with pytest.raises(StoreUnavailable):
        await collected(read_parts(store, KEY, 100))


async def test_code_in_threads_reads_it_as_a_file(store):
    """zipfile opens a value in a store, seeks in it and reads its members."""
    archive = io.BytesIO()
    members = {f"{number:06d}.dcm": os.urandom(200_000) for number in range(12)}
    with zipfile.ZipFile(archive, "w") as made:
        for name, data in members.items():
            made.writestr(name, data)
    size = await put_parts(store, KEY, archive.getvalue())
    loop = asyncio.get_running_loop()

    def unzip() -> dict[str, bytes]:
        with zipfile.ZipFile(PartsReader(store, KEY, size, loop)) as read:
            return {name: read.read(name) for name in reversed(read.namelist())}

    assert await asyncio.to_thread(unzip) == members


async def test_a_file_reads_across_parts(file_store, long_value):
    """One read over the seam of two parts gives all of it, from wherever the file was sought to."""
    await put_parts(file_store, KEY, long_value)
    loop = asyncio.get_running_loop()

    def read() -> tuple[bytes, bytes, int]:
        file = PartsReader(file_store, KEY, LONG, loop)
        file.seek(PART_SIZE - 10)
        seam = file.read(20)
        file.seek(-4, io.SEEK_END)
        return seam, file.read(), file.tell()

    seam = long_value[PART_SIZE - 10 : PART_SIZE + 10]
    assert await asyncio.to_thread(read) == (seam, long_value[-4:], LONG)


async def test_a_reader_in_a_thread_hears_what_is_missing(store):
    """The store's error reaches the thread."""
    loop = asyncio.get_running_loop()
    with pytest.raises(BlobMissing):
        await asyncio.to_thread(PartsReader(store, KEY, 10, loop).read)
