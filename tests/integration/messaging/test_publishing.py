"""Publishing ends with the stream's word, or says that nobody knows."""

import asyncio

import pytest

from shared.messaging.bus import Bus, BusAway, EventTooLarge
from tests.support.nats import NatsServer
from tests.support.services import Noted, publisher


async def stored(server: NatsServer) -> int:
    """Messages in the stream."""
    async with server.jetstream() as jetstream:
        return (await jetstream.stream_info("IMAGING")).state.messages


async def test_a_repeat_with_the_same_id_is_kept_once(bus: NatsServer) -> None:
    async with publisher(bus) as sender:
        first = await sender.publish(Noted(number=1), id="a")
        assert await sender.publish(Noted(number=1), id="a") == first
        assert await sender.publish(Noted(number=2), id="b") == first + 1


async def test_before_the_first_connection_nothing_can_be_published(bus: NatsServer) -> None:
    with pytest.raises(BusAway, match="bus-away"):
        await Bus(bus.settings(), "sender").publish(Noted(number=1), id="a")


async def test_what_failed_while_the_bus_was_away_is_not_sent_behind_our_back(bus: NatsServer) -> None:
    """nats-py keeps a buffer while it reconnects, and delivers what it told us had failed."""
    async with publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        bus.kill()
        with pytest.raises(BusAway):
            await sender.publish(Noted(number=2), id="b")
        bus.start()
        await asyncio.wait_for(sender.until_connected(), 20)
        await sender.publish(Noted(number=3), id="c")
        assert await stored(bus) == 2


async def test_a_publish_to_a_silent_server_ends(bus: NatsServer) -> None:
    """A future of ``publish_async`` would wait for ever; and the repeat is kept once although both arrive."""
    async with publisher(bus) as sender:
        sender.publish_timeout = 0.5
        bus.server.freeze()
        with pytest.raises(BusAway, match="bus-timeout"):
            await sender.publish(Noted(number=1), id="a")
        bus.server.thaw()
        await sender.publish(Noted(number=1), id="a")
        assert await stored(bus) == 1


async def test_a_slow_server_is_waited_for(bus: NatsServer) -> None:
    """FastStream's publish gives up after half a second."""
    async with publisher(bus) as sender:
        bus.server.freeze()
        publishing = asyncio.create_task(sender.publish(Noted(number=1), id="a"))
        await asyncio.sleep(1.5)
        bus.server.thaw()
        assert await publishing == 1


async def test_a_missing_stream_is_told_from_a_missing_bus(nats_server: NatsServer) -> None:
    async with publisher(nats_server) as sender:
        with pytest.raises(BusAway, match="stream-missing"):
            await sender.publish(Noted(number=1), id="a")


async def test_a_full_stream_refuses_the_new_and_keeps_the_old(bus: NatsServer) -> None:
    async with bus.jetstream() as jetstream:
        config = (await jetstream.stream_info("IMAGING")).config
        config.max_bytes = 2000
        await jetstream.update_stream(config)
    async with publisher(bus) as sender:
        with pytest.raises(BusAway, match="stream-refused"):
            for number in range(20):
                await sender.publish(Noted(number=number), id=str(number))
    assert await stored(bus) > 0


async def test_an_event_that_is_too_large_will_never_do(bus: NatsServer) -> None:
    async with publisher(bus) as sender:
        with pytest.raises(EventTooLarge):
            await sender.publish(Noted(number=1, text="x" * 1_100_000), id="a")


async def test_an_event_carries_its_envelope_in_headers_too(bus: NatsServer) -> None:
    async with publisher(bus, "dicom_ingest") as sender, bus.jetstream() as jetstream:
        await sender.publish(Noted(number=1), id="a")
        raw = await jetstream.get_msg("IMAGING", seq=1)
    assert raw.headers is not None
    assert raw.headers["ce-id"] == raw.headers["Nats-Msg-Id"] == "a"
    assert raw.headers["ce-type"] == raw.subject == "imaging.thing.noted.v1"
    assert raw.headers["ce-source"] == "/causeway/local/dicom_ingest"
    assert raw.headers["content-type"] == "application/cloudevents+json"
