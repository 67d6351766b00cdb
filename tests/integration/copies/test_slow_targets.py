"""Clouds that take a part and never answer: what others get does not wait for them, nor grows the memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from contracts.events import CopyWritten, PackSealed
from tests.integration.copies.site import Site
from tests.integration.copies.test_faults import processes
from tests.support.nats import NatsServer
from tests.support.packs import copies, planned
from tests.support.seaweed import CREDENTIALS

MB = 1000 * 1000
#: What a service may take, and what is left of it for the measuring.
BOUND = 250 * MB
SMALL = 1024 * 1024

_EMPTY = b'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'


class HangingCloud:
    """As much of S3 as is needed: nothing is there, small objects are taken, large ones are read and never answered."""

    def __init__(self) -> None:
        self.hanging = 0
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["HangingCloud"]:
        """On a free port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode(), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = head.lower().split("\r\n")
        size = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
        left = size
        while left:
            left -= len(await reader.read(min(left, SMALL)))
        if size > SMALL:
            self.hanging += 1
            await reader.read()  # until the client gives up
        listed = head.startswith("GET") and "list-type" in lines[0]
        status = b"200 OK" if listed or head.startswith("PUT") else b"404 Not Found"
        body = _EMPTY if listed else b""
        writer.write(b'HTTP/1.1 %s\r\nETag: "e"\r\nContent-Length: %d\r\n\r\n%s' % (status, len(body), body))

    def target(self, folder: Path, name: str) -> dict[str, Any]:
        """As targets.yaml has it."""
        kept = folder / "credentials.json"
        kept.write_text(f'{{"access_key": "{CREDENTIALS.access}", "secret_key": "{CREDENTIALS.secret}"}}')
        kept.chmod(0o600)
        return {
            "kind": "s3",
            "bucket": name,
            "endpoint": f"http://127.0.0.1:{self.port}",
            "region": "us-east-1",
            "jurisdiction": "de",
            "forms": ["identified"],
            "credentials_file": str(kept),
        }


@pytest.mark.slow
async def test_clouds_that_hang_hold_up_no_other_target(tmp_path: Path, nats_server: NatsServer) -> None:
    """Three of them have a part of 64 MiB each; four packs are on site long before their requests end (150 s)."""
    async with HangingCloud().serving() as cloud:
        names = ("cloud-a", "cloud-b", "cloud-c")
        site = Site(tmp_path, nats_server, {name: cloud.target(tmp_path, name) for name in names})
        await site.provision()
        with processes(site) as alive:
            for number in range(4):
                batch = await site.batch(1, seed=number, pixel_length=63 * MB)
                await site.say(planned([batch], copies("onsite", *names), f"pack{number}"), f"plan{number}")
            await site.until(PackSealed, lambda found: len(found) == 4, within=60)
            await site.until(CopyWritten, lambda found: len(found) == 4, within=80)
            most = _most_memory(alive["replication"].pid)
    assert {event.copy_key.target for event in await site.said(CopyWritten)} == {"onsite"}
    assert cloud.hanging >= 2
    assert most < BOUND


def _most_memory(pid: int) -> int:
    """The largest resident size that a process has had, bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
