"""A connection never gives up, keeps nothing back for later, and notices in time that its server is silent."""

import asyncio

import pytest
from nats.aio.client import Client
from nats.errors import OutboundBufferLimitError

from shared.messaging.connection import PERSISTENCE, open_client
from tests.support.nats import NatsServer
from tests.support.services import Noted, eventually, living, worker

#: How many of its times a test waits for instead of one: nobody has three quarters of a minute.
FASTER = 20
#: Seconds within which a service must know that its bus does not answer.
NOTICED = 60


async def handle(event) -> None:
    """Nothing."""


async def test_an_outage_of_any_length_is_outlived(bus: NatsServer) -> None:
    """nats-py gives up after 60 attempts unless told otherwise; a connection that gave up is closed for good."""
    refused: list[Exception] = []

    async def note(error: Exception) -> None:
        refused.append(error)

    client = await open_client(bus.settings(), "patient", reconnect_time_wait=0.001, error_cb=note)
    bus.kill()
    await eventually(lambda: len(refused) > 100 or client.is_closed)
    bus.start()
    await eventually(lambda: client.is_connected)
    await client.close()


async def test_a_silent_server_is_noticed_within_a_minute(bus: NatsServer) -> None:
    """nats-py asks every two minutes, and twice: a path that is dead would be noticed after up to six."""
    lost = asyncio.Event()

    async def lose() -> None:
        lost.set()

    faster = PERSISTENCE["ping_interval"] / FASTER
    client = await open_client(bus.settings(), "watchful", ping_interval=faster, disconnected_cb=lose)
    bus.server.freeze()
    await asyncio.wait_for(lost.wait(), NOTICED / FASTER)
    bus.server.thaw()
    await eventually(lambda: client.is_connected)
    await client.close()


async def test_what_is_said_while_the_bus_is_away_is_refused_at_once(bus: NatsServer) -> None:
    """nats-py keeps it, tells the caller after a while that it failed, and delivers it when the bus is there again."""
    client = await open_client(bus.settings(), "hasty", reconnect_time_wait=0.01)
    bus.kill()
    await eventually(lambda: not client.is_connected)
    with pytest.raises(OutboundBufferLimitError):
        await client.publish(Noted.subject, b"{}")
    bus.start()
    await eventually(lambda: client.is_connected)
    await client.flush()
    assert (await client.jetstream().stream_info("IMAGING")).state.messages == 0
    await client.close()


async def test_every_connection_of_a_service_is_made_so(bus: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """FastStream hands on its own defaults for whatever it is not told; the heartbeat has a connection of its own."""
    made: list[dict[str, object]] = []
    connect = Client.connect

    async def note(client: Client, *args: object, **options: object) -> None:
        made.append({name: options.get(name) for name in PERSISTENCE})
        await connect(client, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Client, "connect", note)
    async with living(worker(bus, handle)):
        await eventually(lambda: len(made) == 2)
    assert made == [PERSISTENCE, PERSISTENCE]
