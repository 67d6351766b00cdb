"""What every store promises, in each adapter."""

import asyncio
import hashlib
import os

import pytest

from shared.storage import CHUNK, MAX_BLOB, BadKey, BlobCorrupt, BlobExists, BlobMissing, BlobStore, BlobTooLarge

KEY = "identified/0af3/0001"
DATA = b"some bytes that nobody may change"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def listed(store: BlobStore, prefix: str = "") -> dict[str, int]:
    return {blob.key: blob.size async for blob in store.list(prefix)}


async def streamed(store: BlobStore, key: str, start: int = 0, length: int | None = None) -> list[bytes]:
    return [chunk async for chunk in store.stream(key, start, length)]


async def test_is_a_blob_store(store):
    """The adapter has every method of the port."""
    assert isinstance(store, BlobStore)


async def test_gives_back_what_was_put(store):
    """Bytes come back as they were put."""
    await store.put(KEY, DATA)
    assert await store.get(KEY) == DATA


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_takes_any_buffer(store, kind):
    """bytes, bytearray and memoryview are stored alike."""
    await store.put(KEY, kind(DATA))
    assert await store.get(KEY) == DATA


async def test_keeps_an_empty_value(store):
    """An empty value is a value: it is there, and it is empty."""
    await store.put(KEY, b"")
    assert (await store.head(KEY)).size == 0
    assert await store.get(KEY) == b""
    assert await streamed(store, KEY) == []


async def test_tells_size_and_digest(store):
    """head gives the size, and the digest that the value was put with."""
    await store.put(KEY, DATA, sha256=sha256(DATA))
    found = await store.head(KEY)
    assert (found.key, found.size, found.sha256) == (KEY, len(DATA), sha256(DATA))


async def test_refuses_a_wrong_digest(store):
    """A value that does not have the digest given with it is not stored."""
    with pytest.raises(BlobCorrupt):
        await store.put(KEY, DATA, sha256=sha256(b"other"))
    with pytest.raises(BlobMissing):
        await store.head(KEY)


async def test_never_overwrites(store):
    """A taken key refuses other bytes of another size and of the same size, and keeps the first."""
    await store.put(KEY, DATA)
    for other in (DATA + b"!", bytes(reversed(DATA))):
        with pytest.raises(BlobExists):
            await store.put(KEY, other)
    assert await store.get(KEY) == DATA


async def test_repeats_quietly(store):
    """The same bytes under the same key again are no error, with and without a digest."""
    await store.put(KEY, DATA)
    await store.put(KEY, DATA)
    await store.put(KEY, DATA, sha256=sha256(DATA))


async def test_can_be_put_again_after_delete(store):
    """A deleted key is free."""
    await store.put(KEY, DATA)
    await store.delete(KEY)
    await store.put(KEY, b"new")
    assert await store.get(KEY) == b"new"


@pytest.mark.parametrize(
    ("start", "length"),
    [(0, 5), (5, 10), (30, None), (0, None), (20, 1000), (0, 0), (7, 0), (33, 1), (33, None), (99, 5)],
)
async def test_reads_ranges(store, start, length):
    """A range is cut at the end of the value, and empty behind it, as a slice is."""
    await store.put(KEY, DATA)
    expected = DATA[start : None if length is None else start + length]
    assert await store.get(KEY, start, length) == expected
    assert b"".join(await streamed(store, KEY, start, length)) == expected


@pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
async def test_refuses_impossible_ranges(store, start, length):
    """A negative start or length is a fault of the caller."""
    await store.put(KEY, DATA)
    with pytest.raises(ValueError, match="range"):
        await store.get(KEY, start, length)


async def test_streams_in_bounded_chunks(store):
    """No chunk of a stream is larger than a mebibyte, whatever the value's size."""
    data = os.urandom(5 * CHUNK + 17)
    await store.put(KEY, data)
    chunks = await streamed(store, KEY)
    assert b"".join(chunks) == data
    assert all(isinstance(chunk, bytes) and 0 < len(chunk) <= CHUNK for chunk in chunks)
    assert b"".join(await streamed(store, KEY, CHUNK - 3, CHUNK + 5)) == data[CHUNK - 3 : 2 * CHUNK + 2]


async def test_can_leave_a_stream_early(store):
    """Whoever stops reading a stream can go on using the store."""
    await store.put(KEY, os.urandom(3 * CHUNK))
    stream = store.stream(KEY)
    await anext(stream)
    await stream.aclose()
    assert (await store.head(KEY)).size == 3 * CHUNK


async def test_says_what_is_missing(store):
    """get, stream and head of nothing say BlobMissing with the key, whose text names nothing."""
    for ask in (store.get(KEY), streamed(store, KEY), store.head(KEY), store.get(KEY, 5, 5), store.get(KEY, 0, 0)):
        with pytest.raises(BlobMissing) as caught:
            await ask
        assert caught.value.key == KEY
        assert str(caught.value) == "blob-missing"


async def test_a_folder_is_no_blob(store):
    """What only other keys start with is missing."""
    await store.put("a/b/c", DATA)
    for ask in (store.get("a/b"), store.head("a/b"), store.get("a/b/c/d")):
        with pytest.raises(BlobMissing):
            await ask


async def test_deletes_quietly(store):
    """Deleting what is not there, or only a folder, changes nothing."""
    await store.delete(KEY)
    await store.put("a/b", DATA)
    await store.delete("a")
    await store.delete("a/b/c")
    assert await store.get("a/b") == DATA
    await store.delete("a/b")
    await store.delete("a/b")
    assert await listed(store) == {}


async def test_lists_a_folder(store):
    """list gives every blob below whole segments of a prefix, and all of them without one."""
    keys = ["a/1", "a/2/3", "ab/1", "b"]
    for key in keys:
        await store.put(key, key.encode())
    assert await listed(store) == {key: len(key) for key in keys}
    assert set(await listed(store, "a")) == {"a/1", "a/2/3"}
    assert set(await listed(store, "a/")) == {"a/1", "a/2/3"}
    assert set(await listed(store, "a/2")) == {"a/2/3"}
    assert await listed(store, "c") == {}
    assert await listed(store, "b") == {}


async def test_lists_more_than_a_page(store):
    """A listing has no end at a thousand names."""
    keys = {f"many/{number:04d}" for number in range(1100)}
    for some in range(0, 1100, 50):
        await asyncio.gather(*(store.put(f"many/{number:04d}", b"x") for number in range(some, some + 50)))
    assert set(await listed(store, "many")) == keys


NO_KEYS = ["", "/", "/a", "a/", "a//b", "..", "a/../b", "../a", ".", "a/./b", ".hidden", "a/.b", "a b", "ä", "a\\b"]
NO_KEYS += ["a\n", "a\x00b", "a%2e", "a:b", "~", "a?b", "a" * 513, "a/" * 300 + "a", "a" * 201]


@pytest.mark.parametrize("key", NO_KEYS)
async def test_refuses_what_is_no_key(store, key):
    """Nothing outside the alphabet, no empty, hidden or dotted segment, nothing too long."""
    for ask in (store.put(key, DATA), store.get(key), store.head(key), store.delete(key), streamed(store, key)):
        with pytest.raises(BadKey):
            await ask


@pytest.mark.parametrize("prefix", ["..", "/", "a/../..", "a//"])
async def test_refuses_what_is_no_prefix(store, prefix):
    """A listing cannot leave the store."""
    with pytest.raises(BadKey):
        await listed(store, prefix)


async def test_keeps_the_largest_value(store):
    """64 MiB fit, one byte more does not."""
    data = os.urandom(CHUNK) * 64
    await store.put(KEY, data, sha256=sha256(data))
    assert sha256(await store.get(KEY)) == sha256(data)
    assert await store.get(KEY, MAX_BLOB - 7) == data[-7:]
    with pytest.raises(BlobTooLarge):
        await store.put("b", data + b"!")
    assert await listed(store, "b") == {}


async def test_of_many_writers_one_wins(store):
    """Of eight who put different bytes at once under one key, one succeeds and its bytes stay, for every key."""
    for number in range(3):
        key = f"race/{number}"
        values = [os.urandom(2000) for _ in range(8)]
        outcomes = await asyncio.gather(*(store.put(key, value) for value in values), return_exceptions=True)
        winners = [value for value, outcome in zip(values, outcomes, strict=True) if outcome is None]
        assert len(winners) == 1
        assert all(isinstance(outcome, BlobExists) for outcome in outcomes if outcome is not None)
        assert await store.get(key) == winners[0]


async def test_many_writers_of_the_same_all_succeed(store):
    """Sixteen who put the same bytes at once under one key are all told that they lie there."""
    await asyncio.gather(*(store.put(KEY, DATA, sha256=sha256(DATA)) for _ in range(16)))
    assert await store.get(KEY) == DATA


async def test_writers_and_deleters_of_one_folder_do_not_meet(store):
    """Deleting the last blob of a folder never harms a put into the same folder."""

    async def come_and_go(number: int) -> None:
        for turn in range(12):
            await store.put(f"deep/er/{number}-{turn}", DATA)
            await store.delete(f"deep/er/{number}-{turn}")

    await asyncio.gather(*(come_and_go(number) for number in range(8)))
    assert await listed(store) == {}
