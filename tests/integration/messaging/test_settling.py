"""What becomes of a message is what the error of its handler says."""

import asyncio
import time

import pytest
from faststream.nats import JStream, NatsBroker, PullSub
from nats.js.api import ConsumerConfig
from structlog.testing import capture_logs

from shared.errors import AlreadyDone, RetryLater, Unprocessable
from shared.messaging import deadletters
from shared.messaging.attempts import FAILURES
from shared.messaging.bus import Bus
from tests.support.nats import NatsServer
from tests.support.services import Noted, eventually, living, publisher, worker


async def unsettled(server: NatsServer) -> int:
    """Messages that the worker's consumer has delivered or will deliver."""
    async with server.jetstream() as jetstream:
        info = await jetstream.consumer_info("IMAGING", "worker_thing_noted")
        return info.num_ack_pending + info.num_pending


async def letters(server: NatsServer) -> list[deadletters.DeadLetter]:
    """All dead letters."""
    async with server.jetstream() as jetstream:
        return [letter async for letter in deadletters.every(jetstream)]


async def test_retry_later_is_delivered_again_without_limit(bus: NatsServer) -> None:
    deliveries = []

    async def handle(event) -> None:
        deliveries.append(event.deliveries)
        if len(deliveries) < 3 * FAILURES:
            raise RetryLater("target-unreachable", delay=0.01)

    async with living(worker(bus, handle)), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: len(deliveries) == 3 * FAILURES)
        await eventually(lambda: _none(bus))
    assert deliveries == list(range(1, 3 * FAILURES + 1))
    assert await letters(bus) == []


async def _none(server: NatsServer) -> bool:
    return await unsettled(server) == 0


async def test_a_message_waits_before_it_comes_again(bus: NatsServer) -> None:
    """A bare nak is answered at once, whatever backoff the consumer has."""
    times = []

    async def handle(event) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            raise RetryLater("full")

    async with living(worker(bus, handle)), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: len(times) == 2)
    assert times[1] - times[0] >= 0.2


@pytest.mark.parametrize("error", [None, AlreadyDone("known")])
async def test_a_message_that_is_done_is_acknowledged(bus: NatsServer, error: Exception | None) -> None:
    seen = []

    async def handle(event) -> None:
        seen.append(event)
        if error:
            raise error

    async with living(worker(bus, handle)), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: seen)
        await eventually(lambda: _none(bus))
    assert await letters(bus) == []


async def test_an_acknowledgement_that_the_server_never_had_settles_nothing(bus: NatsServer) -> None:
    """A plain ack is written and forgotten: the work would count as done, and come again as a surprise."""
    deliveries = []
    gate = asyncio.Event()

    async def handle(event) -> None:
        deliveries.append(event.deliveries)
        await gate.wait()

    service = worker(bus, handle, at_once=1)
    service.bus.publish_timeout = 0.3
    async with living(service), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: deliveries)
        # The server writes down a delivery a moment later; killed before that it would not remember it.
        await eventually(lambda: any(path.stat().st_size for path in bus._store.rglob("o.dat")))
        with capture_logs() as told:
            bus.server.freeze()
            gate.set()
            await eventually(lambda: {("not-settled", "a")} & {(line["event"], line.get("event_id")) for line in told})
        frozen = bus.server.process
        assert frozen is not None
        frozen.kill()  # as it stands: whoever thawed it first would let it read the acknowledgement
        frozen.wait()
        service.bus.publish_timeout = 10  # that one is heard, however busy the machine is
        bus.start()
        await eventually(lambda: deliveries == [1, 2])
        await eventually(lambda: _none(bus))


async def test_unprocessable_ends_as_a_dead_letter_with_its_reason(bus: NatsServer) -> None:
    async def handle(event) -> None:
        raise Unprocessable("digest-mismatch")

    async with living(worker(bus, handle)), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: _some_letters(bus))
        await eventually(lambda: _none(bus))
    (letter,) = await letters(bus)
    assert (letter.service, letter.consumer) == ("worker", "worker_thing_noted")
    assert (letter.subject, letter.sequence, letter.attempts) == ("imaging.thing.noted.v1", 1, 1)
    assert (letter.error_class, letter.reason, letter.event_id) == ("Unprocessable", "digest-mismatch", "a")
    assert b'"number":1' in letter.body


async def _some_letters(server: NatsServer) -> bool:
    return bool(await letters(server))


async def test_a_letter_whose_acknowledgement_is_lost_is_written_once(
    bus: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, written = Bus._publish_once, []

    async def lose_the_first(self: Bus, stream: str, *rest) -> int:
        number = await publish(self, stream, *rest)
        if stream == deadletters.STREAM:
            written.append(number)
            if len(written) == 1:
                raise TimeoutError
        return number

    async def handle(event) -> None:
        raise Unprocessable("digest-mismatch")

    monkeypatch.setattr(Bus, "_publish_once", lose_the_first)
    async with living(worker(bus, handle)), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: len(written) == 2)
        await eventually(lambda: _none(bus))
    (letter,) = await letters(bus)
    assert letter.event_id == "a"
    assert written[0] == written[1]


async def test_an_unknown_error_is_retried_a_counted_number_of_times(bus: NatsServer) -> None:
    deliveries = []

    async def handle(event) -> None:
        deliveries.append(event.deliveries)
        raise KeyError("patient DOE^JOHN")

    async with living(worker(bus, handle)), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: _some_letters(bus), within=90)
    (letter,) = await letters(bus)
    # On a machine that halts for longer than ack_wait it may come once more, before it is known to be given up.
    assert deliveries[:FAILURES] == list(range(1, FAILURES + 1))
    assert letter.attempts == FAILURES
    assert (letter.error_class, letter.reason) == ("KeyError", "unknown-error")


async def test_postponements_are_not_counted_as_failures(bus: NatsServer) -> None:
    deliveries = []

    async def handle(event) -> None:
        deliveries.append(event.deliveries)
        if len(deliveries) <= FAILURES + 2:
            raise RetryLater("target-unreachable", delay=0.01)
        if len(deliveries) == FAILURES + 3:
            raise KeyError

    async with living(worker(bus, handle)), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: len(deliveries) == FAILURES + 4, within=30)
        await eventually(lambda: _none(bus))
    assert await letters(bus) == []


@pytest.mark.parametrize(
    "body",
    [b"no json at all DOE^JOHN", b'{"specversion": "1.0", "id": "x", "data": {"number": "DOE^JOHN"}}', b""],
    ids=["not-json", "wrong-data", "empty"],
)
async def test_what_cannot_be_read_ends_as_a_dead_letter(
    bus: NatsServer, body: bytes, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """And neither a log nor a header tells what was in it: validation errors print their input."""

    async def handle(event) -> None:
        raise AssertionError("it must not get here")

    async with living(worker(bus, handle)), bus.jetstream() as jetstream:
        await jetstream.publish("imaging.thing.noted.v1", body)
        await eventually(lambda: _some_letters(bus))
    (letter,) = await letters(bus)
    assert letter.reason == "undecodable"
    told = capfd.readouterr()
    assert "DOE" not in told.out + told.err + caplog.text + str(deadletters.shown(letter))


async def test_a_dead_letter_carries_no_header_of_the_server(bus: NatsServer) -> None:
    """``Nats-Expected-Stream`` of the first publish would have the second one refused; its id is the letter's own."""

    async def handle(event) -> None:
        raise Unprocessable("broken")

    async with living(worker(bus, handle)), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: _some_letters(bus))
    async with bus.jetstream() as jetstream:
        raw = await jetstream.get_msg("DEADLETTERS", seq=1)
    assert raw.headers is not None
    assert raw.headers.get("Nats-Msg-Id") not in {None, "a"}
    assert raw.headers.get("Nats-Expected-Stream") in {None, "DEADLETTERS"}
    assert raw.headers["ce-id"] == "a"


async def test_a_long_handler_keeps_its_message(bus: NatsServer) -> None:
    """The consumer's ack_wait is 2 s; the heartbeat says every second that the work goes on."""
    deliveries = []

    async def handle(event) -> None:
        deliveries.append(event.deliveries)
        await asyncio.sleep(5)

    async with living(worker(bus, handle), heartbeat=0.5), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: deliveries)
        await eventually(lambda: _none(bus))
    assert deliveries == [1]


async def test_a_handler_that_blocks_the_event_loop_keeps_its_message(bus: NatsServer) -> None:
    deliveries = []

    async def handle(event) -> None:
        deliveries.append(event.deliveries)
        time.sleep(4)

    async with living(worker(bus, handle), heartbeat=0.5), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: deliveries)
        await eventually(lambda: _none(bus))
    assert deliveries == [1]


async def test_a_message_that_comes_again_while_it_is_in_work_is_not_worked_on_twice(bus: NatsServer) -> None:
    """Without a heartbeat the server believes, after two seconds, that it was lost."""
    running, most, deliveries = 0, 0, []

    async def handle(event) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        deliveries.append(event.deliveries)
        await asyncio.sleep(5)
        running -= 1

    async with living(worker(bus, handle), heartbeat=3600), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: deliveries)
        await eventually(lambda: running == 0)
    assert most == 1


async def test_stock_a_bare_nak_is_answered_at_once(bus: NatsServer) -> None:
    """Why the delay is given with each nak: the server's backoff is for acknowledgements that never came."""
    config = ConsumerConfig(durable_name="plain", filter_subject="imaging.>", backoff=[5, 5, 5], max_deliver=4)
    async with bus.jetstream() as jetstream:
        await jetstream.add_consumer("IMAGING", config)
        await jetstream.publish("imaging.thing.noted.v1", b"{}")
        subscription = await jetstream.pull_subscribe_bind("plain", "IMAGING")
        for delivery in range(1, 5):
            (message,) = await subscription.fetch(1, timeout=2)
            assert message.metadata.num_delivered == delivery
            await message.nak()


async def test_stock_terminates_on_the_first_error(bus: NatsServer) -> None:
    """Why the chassis has a policy of its own: FastStream's default drops the message for ever."""
    broker = NatsBroker(bus.url, logger=None)
    deliveries = []

    @broker.subscriber(
        "imaging.thing.noted.v1", stream=JStream("IMAGING", declare=False), durable="stock", pull_sub=PullSub(1)
    )
    async def handle(body: dict) -> None:
        deliveries.append(body)
        raise ConnectionError("the database is away for a second")

    async with broker, bus.jetstream() as jetstream:
        await broker.start()
        await jetstream.publish("imaging.thing.noted.v1", b"{}")
        await eventually(lambda: deliveries)
        await asyncio.sleep(0.3)
        info = await jetstream.consumer_info("IMAGING", "stock")
    assert (len(deliveries), info.num_ack_pending, info.num_pending) == (1, 0, 0)
