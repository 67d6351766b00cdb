"""What blobs in an object store promise when the store or the way to it fails."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

import obstore
import pytest

from shared.storage import (
    BlobExists,
    BlobMissing,
    BlobStore,
    Credentials,
    ObjectStore,
    StoreRefused,
    StoreUnavailable,
    open_store,
)

DATA = b"some bytes that nobody may change"


def asked(store: BlobStore):
    """Each operation once, by name."""

    async def listed() -> None:
        [blob async for blob in store.list()]

    async def streamed() -> None:
        [chunk async for chunk in store.stream("a", 3)]

    return {
        "put": lambda: store.put("a", DATA),
        "get": lambda: store.get("a"),
        "stream": streamed,
        "head": lambda: store.head("a"),
        "delete": lambda: store.delete("a"),
        "list": listed,
    }


OPERATIONS = ["put", "get", "stream", "head", "delete", "list"]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_nobody_listens(free_port, operation):
    """A connection refused is unavailable soon, and the error names no address."""
    store = open_store(f"s3://bucket?endpoint=http://127.0.0.1:{free_port}", Credentials("key", "secret"))
    async with asyncio.timeout(30):
        with pytest.raises(StoreUnavailable) as caught:
            await asked(store)[operation]()
    assert "127.0.0.1" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_somebody_listens_and_never_answers(operation):
    """A peer that takes the connection and says nothing is unavailable when patience ends."""
    async with silent_server() as port:
        store = impatient(f"http://127.0.0.1:{port}")
        async with asyncio.timeout(10):
            with pytest.raises(StoreUnavailable):
                await asked(store)[operation]()


async def test_an_answer_that_breaks_off(free_port):
    """Half of a value is never taken for the value."""

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        headers = (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: x\r\nLast-Modified: Sun, 22 Nov 2026 08:00:00 GMT\r\n"
        )
        writer.write(headers + b"\r\n" + b"x" * 500)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", free_port)
    async with server:
        with pytest.raises(StoreUnavailable):
            await impatient(f"http://127.0.0.1:{free_port}").get("a")


async def test_wrong_credentials_are_a_refusal(seaweed):
    """Who is not let in is told apart from who cannot come through."""
    seaweed.store("refused")
    store = open_store(seaweed.url("refused"), Credentials(seaweed.credentials.access, "wrong"))
    for ask in (store.put("a", DATA), store.get("a"), store.head("a"), store.delete("a")):
        with pytest.raises(StoreRefused):
            await ask


async def test_no_bucket_is_a_refusal_to_write(seaweed):
    """A bucket that is not there makes a put fail for the operator to see, and is not made by the way."""
    store = open_store(seaweed.url("never-made"), seaweed.credentials)
    with pytest.raises(StoreRefused):
        await store.put("a", DATA)
    assert not seaweed.administration().bucket_exists("never-made")


async def test_meets_its_own_first_try(cloud_store):
    """A create whose answer was lost and that is sent again is no conflict: the object is ours."""
    await cloud_store.put("a", DATA)
    await cloud_store.put("a", DATA)
    with pytest.raises(BlobExists):
        await cloud_store.put("a", bytes(len(DATA)))


async def test_compares_bytes_where_no_digest_is_kept(cloud_store):
    """An object that another tool wrote is compared by its bytes."""
    await obstore.put_async(cloud_store._store, "a", DATA)
    assert (await cloud_store.head("a")).sha256 is None
    await cloud_store.put("a", DATA)
    with pytest.raises(BlobExists):
        await cloud_store.put("a", bytes(len(DATA)))


async def test_a_killed_cloud_comes_back_with_its_objects(own_seaweed):
    """Killed: unavailable. Started again on its data: all that was put is there, and it takes more."""
    store = own_seaweed.store("bucket")
    data = os.urandom(3_000_000)
    await store.put("a", data)
    own_seaweed.server.kill()
    with pytest.raises(StoreUnavailable):
        await store.get("a")
    with pytest.raises(StoreUnavailable):
        await store.put("b", data)
    await asyncio.to_thread(own_seaweed.start)
    assert await store.get("a") == data
    await store.put("b", data)
    with pytest.raises(BlobMissing):
        await store.get("c")


async def test_a_frozen_cloud_is_unavailable_in_bounded_time(own_seaweed):
    """A server that stands still does not hold its callers."""
    own_seaweed.store("bucket")
    own_seaweed.server.freeze()
    try:
        async with asyncio.timeout(15):
            with pytest.raises(StoreUnavailable):
                await impatient(own_seaweed.endpoint).head("a")
    finally:
        own_seaweed.server.thaw()


def impatient(endpoint: str) -> ObjectStore:
    """A store that waits one second for what carries no bytes."""
    patient = open_store(f"s3://bucket?endpoint={endpoint}", Credentials("key", "secret"))
    return ObjectStore(patient._store, patience=1.0)


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
