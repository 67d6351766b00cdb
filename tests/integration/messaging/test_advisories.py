"""The server's own word on messages that were given up is kept: a second witness beside the dead letters."""

import json
from typing import Any

import nats.errors
import pytest
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from contracts.streams import documents
from shared.errors import Unprocessable
from shared.messaging.plan import Plan, read_plan
from shared.messaging.provision import provision
from tests.support.nats import NatsServer
from tests.support.services import Noted, eventually, living, publisher, worker

STREAM = "ADVISORIES"


@pytest.fixture
async def bus(bus: NatsServer) -> NatsServer:
    """The bus of the tests, with the stream of the advisories as the contracts plan it."""
    advisories = tuple(stream for stream in read_plan(*documents()).streams if stream.name == STREAM)
    async with bus.jetstream() as jetstream:
        await provision(jetstream, Plan(advisories, ()), {})
    return bus


async def advisory(jetstream: JetStreamContext) -> dict[str, Any]:
    """The first one, once it is there."""

    async def arrived() -> bool:
        return (await jetstream.stream_info(STREAM)).state.messages > 0

    await eventually(arrived)
    told: dict[str, Any] = json.loads((await jetstream.get_msg(STREAM, seq=1)).data or b"")
    return told


async def test_a_message_that_a_service_terminated_is_there_without_its_content(bus: NatsServer) -> None:
    async def handle(event) -> None:
        raise Unprocessable("broken")

    async with living(worker(bus, handle)), publisher(bus) as sender, bus.jetstream() as jetstream:
        sequence = await sender.publish(Noted(number=1, text="DOE^JOHN"), id="a")
        told = await advisory(jetstream)
    assert told["type"].endswith(".terminated")
    assert (told["stream"], told["consumer"], told["stream_seq"]) == ("IMAGING", "worker_thing_noted", sequence)
    assert "DOE" not in json.dumps(told)


async def test_a_message_that_the_server_gave_up_is_there(bus: NatsServer) -> None:
    """Our consumers are never given up by the server; that of an integrator may be."""
    few = ConsumerConfig(durable_name="research", filter_subject="imaging.>", max_deliver=1)
    async with bus.jetstream() as jetstream, publisher(bus) as sender:
        await jetstream.add_consumer("IMAGING", few)
        sequence = await sender.publish(Noted(number=1), id="a")
        subscription = await jetstream.pull_subscribe_bind("research", "IMAGING")
        (message,) = await subscription.fetch(1)
        await message.nak()
        with pytest.raises(nats.errors.TimeoutError):
            await subscription.fetch(1, timeout=0.3)
        told = await advisory(jetstream)
    assert told["type"].endswith(".max_deliver")
    assert (told["stream"], told["consumer"], told["stream_seq"]) == ("IMAGING", "research", sequence)
