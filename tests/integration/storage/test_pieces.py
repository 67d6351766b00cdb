"""A value that comes in pieces is as durable, as whole and as write-once as one that comes at once."""

import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.storage import MAX_BLOB, BlobExists, BlobTooLarge, FilesystemStore, put_parts, read_parts

MIB = 1 << 20


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    """These."""
    for piece in given:
        yield piece


def staged(folder: Path) -> list[Path]:
    """What is left of values without a name."""
    return list((folder / ".staging").iterdir())


async def test_pieces_become_one_value(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    assert await store.put_pieces("a", pieces(b"one", b"", b"two")) == 6
    assert await store.get("a") == b"onetwo"
    assert staged(tmp_path) == []


async def test_a_repeat_is_quiet_and_other_bytes_are_refused(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    await store.put("a", b"onetwo")
    assert await store.put_pieces("a", pieces(b"on", b"etwo")) == 6
    with pytest.raises(BlobExists):
        await store.put_pieces("a", pieces(b"other"))
    assert await store.get("a") == b"onetwo"
    assert staged(tmp_path) == []


async def test_too_much_leaves_nothing(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    with pytest.raises(BlobTooLarge):
        await store.put_pieces("a", pieces(*[bytes(32 * MIB)] * 2, b"x"))
    assert [blob async for blob in store.list()] == []
    assert staged(tmp_path) == []


async def test_a_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"one"
        raise LookupError("gone")

    store = FilesystemStore(tmp_path)
    with pytest.raises(LookupError, match="gone"):
        await store.put_pieces("a", failing())
    assert [blob async for blob in store.list()] == []
    assert staged(tmp_path) == []


@pytest.mark.parametrize(
    "parts", [[0], [1], [MIB], [MIB + 1], [MAX_BLOB], [MAX_BLOB, 1], [MAX_BLOB, MAX_BLOB, 5]], ids=str
)
async def test_a_file_of_any_length_is_stored_with_a_few_mebibytes_of_memory(tmp_path: Path, parts: list[int]) -> None:
    size = sum(parts)
    path, store = tmp_path / "value", FilesystemStore(tmp_path / "store")
    with path.open("wb") as file:
        file.write(b"begin"[:size])
        file.truncate(size)
    tracemalloc.start()
    try:
        assert await put_parts(store, "value", path) == size
        assert tracemalloc.get_traced_memory()[1] < 10 * MIB
    finally:
        tracemalloc.stop()
    assert b"".join([chunk async for chunk in read_parts(store, "value", size)]) == path.read_bytes()
    assert [blob.size async for blob in store.list()] == parts
