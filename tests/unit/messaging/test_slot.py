"""A slot that cannot leave its inbox in order leaves nothing behind."""

import asyncio
from dataclasses import dataclass

import nats
import pytest
from nats.aio.client import Client

from shared.messaging import subscriber
from shared.messaging.subscriber import Slot

INFO = b'INFO {"server_id":"x","version":"2.10.0","proto":1,"max_payload":1000000,"headers":true}\r\n'


@dataclass
class FakeBus:
    """What a slot uses of a bus."""

    client: Client
    connected: bool = True

    def on_reconnect(self, wake: object) -> None:
        """There is none."""


async def mute_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """It greets, and says nothing more but the first PONG."""
    writer.write(INFO)
    is_greeted = False
    while line := await reader.readline():
        if line.startswith(b"PING") and not is_greeted:
            writer.write(b"PONG\r\n")
            is_greeted = True


async def test_an_inbox_that_the_server_does_not_let_go_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "PULL_EXPIRES", 0.05)
    monkeypatch.setattr(subscriber, "PULL_PATIENCE", 0.05)
    async with await asyncio.start_server(mute_server, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = await nats.connect(f"nats://127.0.0.1:{port}", allow_reconnect=False)
        before = len(asyncio.all_tasks())
        slot = Slot(FakeBus(client), "IMAGING", "worker")  # type: ignore[arg-type]  # all of a bus that it uses
        for _ in range(3):
            assert await slot.pull() is None
        await asyncio.sleep(0)
        assert (len(client._subs), len(asyncio.all_tasks())) == (0, before)
        await client.close()
