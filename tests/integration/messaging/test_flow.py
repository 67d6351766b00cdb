"""An event goes from a publisher to a handler."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from faststream.nats import JStream, NatsBroker, PullSub
from nats.aio.client import Client

from shared.service.model import On
from tests.support.nats import NatsServer
from tests.support.services import Echoed, Noted, eventually, living, numbers, publisher, worker


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


async def test_a_consumer_of_one_target_hears_what_that_of_another_hears(bus: NatsServer) -> None:
    one, two = [], []

    async def to_one(event) -> None:
        one.append(event)

    async def to_two(event) -> None:
        two.append(event)

    rows = (On(Echoed, to_one, target="one"), On(Echoed, to_two, target="two"))
    async with living(worker(bus, to_one, consumes=rows)), publisher(bus) as sender:
        await sender.publish(Echoed(number=1), id="a")
        await eventually(lambda: one and two)


async def test_a_slow_message_holds_up_only_its_own_slot(bus: NatsServer) -> None:
    """FastStream's pull of a batch waits for the slowest of the batch before it asks again."""
    done: list[int] = []
    gate = asyncio.Event()

    async def handle(event) -> None:
        if event.data.number == 0:
            await gate.wait()
        done.append(event.data.number)

    async with living(worker(bus, handle, at_once=2)), publisher(bus) as sender:
        for number in range(12):
            await sender.publish(Noted(number=number), id=str(number))
        await eventually(lambda: len(done) == 11)
        assert sorted(done) == list(range(1, 12))
        gate.set()
        await eventually(lambda: 0 in done)


async def test_no_more_is_fetched_than_there_are_hands(bus: NatsServer) -> None:
    """FastStream with workers takes in ten times what it works on; each then waits for its ack to time out."""
    gate = asyncio.Event()

    async def handle(event) -> None:
        await gate.wait()

    async with bus.jetstream() as jetstream, publisher(bus) as sender:
        for number in range(20):
            await sender.publish(Noted(number=number), id=str(number))
        async with living(worker(bus, handle, at_once=3)):

            async def unsettled() -> int:
                return (await jetstream.consumer_info("IMAGING", "worker_thing_noted")).num_ack_pending

            async def all_hands() -> bool:
                return await unsettled() == 3

            await eventually(all_hands)
            await asyncio.sleep(0.3)
            assert await unsettled() == 3
            gate.set()


async def test_stopping_loses_nothing_and_gives_back_what_was_not_started(bus: NatsServer) -> None:
    """Nothing waits for its ack to time out, which takes 30 s for this consumer."""
    seen = []

    async def handle(event) -> None:
        await asyncio.sleep(0.01)
        seen.append(event.data.number)

    rows = (On(Echoed, handle, target="one"),)
    async with publisher(bus) as sender:
        for number in range(60):
            await sender.publish(Echoed(number=number), id=str(number))
        for _ in range(4):
            async with living(worker(bus, handle, consumes=rows)):
                so_far = len(seen)
                await eventually(lambda least=so_far: len(seen) > least or len(seen) == 60)
        async with living(worker(bus, handle, consumes=rows)):
            await eventually(lambda: len(seen) >= 60, within=10)
    assert sorted(seen) == list(range(60))


@asynccontextmanager
async def slow_answers(port: int, delay: float) -> AsyncIterator[int]:
    """The port of a way to the server at ``port`` whose answers take ``delay`` seconds."""

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float) -> None:
        loop = asyncio.get_running_loop()
        while some := await source.read(65536):
            loop.call_later(delay, target.write, some)
        loop.call_later(delay, target.close)

    async def join(near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(near, there, 0), carry(far, back, delay))

    async with await asyncio.start_server(join, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_what_is_on_its_way_to_a_stopping_service_is_given_back(bus: NatsServer) -> None:
    """Its inbox is left only when the server has said that nothing more comes there."""
    seen = []

    async def handle(event) -> None:
        seen.append(event.deliveries)

    rows = (On(Echoed, handle, target="one"),)
    async with publisher(bus) as sender, slow_answers(bus.port, 0.3) as port:
        far = worker(bus, handle, consumes=rows, nats_url=f"nats://127.0.0.1:{port}")
        async with living(far):
            await asyncio.sleep(0.5)
            await sender.publish(Echoed(number=1), id="a")
            await asyncio.sleep(0.1)
        assert seen == []
        async with living(worker(bus, handle, consumes=rows)):
            await eventually(lambda: seen == [2], within=10)


async def test_what_outlives_the_patience_of_a_stopping_service_is_given_back(bus: NatsServer) -> None:
    """It is no suspect when it comes again, nor does it wait for its ack to time out."""
    seen = []

    async def handle(event) -> None:
        seen.append(event.deliveries)
        if len(seen) == 1:
            await asyncio.sleep(60)

    rows = (On(Echoed, handle, target="one"),)
    async with publisher(bus) as sender:
        await sender.publish(Echoed(number=1), id="a")
        first = worker(bus, handle, consumes=rows)
        first.bus.graceful_timeout = 0.1
        async with living(first):
            await eventually(lambda: seen)
        async with living(worker(bus, handle, consumes=rows)):
            await eventually(lambda: seen == [1, 2], within=10)


async def test_slots_that_worked_through_a_reconnection_miss_nothing(bus: NatsServer) -> None:
    seen = []
    gate = asyncio.Event()

    async def handle(event) -> None:
        seen.append(event.data.number)
        await gate.wait()

    rows = (On(Echoed, handle, target="one", at_once=2),)
    async with living(worker(bus, handle, consumes=rows)), publisher(bus) as sender:
        for number in range(4):
            await sender.publish(Echoed(number=number), id=str(number))
        await eventually(lambda: len(seen) == 2)
        bus.kill()
        bus.start()
        await asyncio.wait_for(sender.until_connected(), 20)
        gate.set()
        await eventually(lambda: set(seen) == {0, 1, 2, 3}, within=10)


async def sent_during(client: Client, seconds: float) -> int:
    """How many messages ``client`` sends, pull requests included."""
    before = client.stats["out_msgs"]
    await asyncio.sleep(seconds)
    return client.stats["out_msgs"] - before


async def test_a_consumer_that_is_gone_is_not_asked_for_ever(bus: NatsServer) -> None:
    """FastStream's loop asks again at once, some thousand times a second, and says nothing."""

    async def handle(event) -> None:
        """Nothing."""

    async with bus.jetstream() as jetstream:
        service = worker(bus, handle, at_once=2)
        async with living(service) as life:
            await jetstream.delete_consumer("IMAGING", "worker_thing_noted")
            assert await sent_during(service.bus.client, 1) < 20
            await eventually(life.failed.is_set)

        stock = NatsBroker(bus.url, logger=None)
        source = JStream("IMAGING", declare=False)
        stock.subscriber("imaging.thing.noted.v1", stream=source, durable="stock", pull_sub=PullSub(1))(handle)
        async with stock:
            await stock.start()
            await jetstream.delete_consumer("IMAGING", "stock")
            client = await stock.connect()
            await eventually(lambda: client.stats["out_msgs"] > 100)


async def test_messages_of_one_slot_come_in_order(bus: NatsServer) -> None:
    got = []

    async def handle(event) -> None:
        got.append(event)

    async with publisher(bus) as sender:
        for number in range(30):
            await sender.publish(Noted(number=number), id=str(number))
        async with living(worker(bus, handle, at_once=1)):
            await eventually(lambda: len(got) == 30)
    assert numbers(got) == list(range(30))
