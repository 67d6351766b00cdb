"""An event goes from a publisher to a handler."""

import pytest

from tests.support.nats import NatsServer
from tests.support.services import Noted, eventually, living, numbers, provision_for_tests, publisher, worker


@pytest.fixture
async def bus(nats_server: NatsServer) -> NatsServer:
    await provision_for_tests(nats_server)
    return nats_server


async def test_an_event_arrives_once_with_its_envelope(bus: NatsServer) -> None:
    got = []

    async def handle(event) -> None:
        got.append(event)

    async with living(worker(bus, handle)), publisher(bus) as sender:
        sequence = await sender.publish(Noted(number=7), id="a" * 32)
        await eventually(lambda: got)
        (event,) = got
        assert event.data == Noted(number=7)
        assert (event.id, event.sequence, event.deliveries) == ("a" * 32, sequence, 1)


async def test_a_repeat_with_the_same_id_is_kept_once(bus: NatsServer) -> None:
    got = []

    async def handle(event) -> None:
        got.append(event)

    async with living(worker(bus, handle)), publisher(bus) as sender:
        first = await sender.publish(Noted(number=1), id="a")
        assert await sender.publish(Noted(number=1), id="a") == first
        await sender.publish(Noted(number=2), id="b")
        await eventually(lambda: len(got) == 2)
        assert numbers(got) == [1, 2]
