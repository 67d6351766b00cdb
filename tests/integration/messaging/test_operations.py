"""What an operator does to the bus: replay, dead letters, lag."""

import asyncio
from datetime import UTC, datetime

import pytest

from cli.lag import lag
from cli.replay import replay
from shared.errors import Unprocessable
from shared.messaging import deadletters
from shared.messaging.bus import Bus
from shared.service.model import On, OnDeadLetter, Service
from tests.support.nats import NatsServer
from tests.support.services import PLAN, Echoed, Noted, eventually, living, numbers, publisher, worker

TARGETS = {"target": ["one", "two"]}


async def test_a_replay_gives_one_service_its_past_again_while_it_runs(bus: NatsServer) -> None:
    got, others = [], []

    async def handle(event) -> None:
        got.append(event)

    async def other(letter) -> None:
        others.append(letter)

    async with living(worker(bus, handle, at_once=1)), publisher(bus) as sender, bus.jetstream() as jetstream:
        for number in range(5):
            await sender.publish(Noted(number=number), id=str(number))
        await eventually(lambda: len(got) == 5)
        counted = await replay(jetstream, PLAN, TARGETS, "worker", 3, dry_run=True)
        assert {one.consumer: one.messages for one in counted} == {
            "worker_thing_noted": 3,
            "worker_thing_echoed_one": 0,
            "worker_thing_echoed_two": 0,
        }
        await asyncio.sleep(0.3)
        assert len(got) == 5
        await replay(jetstream, PLAN, TARGETS, "worker", 3)
        await eventually(lambda: len(got) == 8)
        assert numbers(got) == [0, 1, 2, 3, 4, 2, 3, 4]
        assert [event.id for event in got[5:]] == ["2", "3", "4"]


async def test_a_replay_may_start_at_a_time(bus: NatsServer) -> None:
    got = []

    async def handle(event) -> None:
        got.append(event)

    async with living(worker(bus, handle, at_once=1)), publisher(bus) as sender, bus.jetstream() as jetstream:
        await sender.publish(Noted(number=0), id="0")
        await asyncio.sleep(0.05)
        moment = datetime.now(UTC)
        await sender.publish(Noted(number=1), id="1")
        await eventually(lambda: len(got) == 2)
        await replay(jetstream, PLAN, TARGETS, "worker", moment)
        await eventually(lambda: len(got) == 3)
        await asyncio.sleep(0.2)
        assert numbers(got) == [0, 1, 1]


async def test_a_service_that_consumes_nothing_cannot_be_replayed(bus: NatsServer) -> None:
    async with bus.jetstream() as jetstream:
        with pytest.raises(ValueError, match="consumes nothing"):
            await replay(jetstream, PLAN, TARGETS, "sender", 1)


async def test_a_dead_letter_that_is_retried_reaches_its_consumer_alone(bus: NatsServer) -> None:
    mended = False
    one, two = [], []

    async def to_one(event) -> None:
        one.append(event)
        if not mended:
            raise Unprocessable("digest-mismatch")

    async def to_two(event) -> None:
        two.append(event)

    rows = (On(Echoed, to_one, target="one"), On(Echoed, to_two, target="two"))
    async with living(worker(bus, to_one, consumes=rows)), publisher(bus) as sender, bus.jetstream() as jetstream:
        await sender.publish(Echoed(number=1), id="a")

        async def numbers_of_letters() -> list[int]:
            return [letter.number async for letter in deadletters.every(jetstream, service="worker")]

        await eventually(numbers_of_letters)
        assert await deadletters.retry(jetstream, 1)
        await eventually(lambda: len(one) == 2)

        async def second() -> bool:
            return await numbers_of_letters() == [2]

        await eventually(second)
        mended = True
        assert await deadletters.retry(jetstream, 2)
        await eventually(lambda: len(one) == 3)
        await asyncio.sleep(0.2)
        assert await numbers_of_letters() == []
        assert len(two) == 1
        assert {event.id for event in one} == {"a"}
        assert not await deadletters.retry(jetstream, 2)


async def test_a_dead_letter_can_be_shown_and_discarded(bus: NatsServer) -> None:
    async def handle(event) -> None:
        raise Unprocessable("broken")

    async with living(worker(bus, handle)), publisher(bus) as sender, bus.jetstream() as jetstream:
        await sender.publish(Noted(number=7), id="a")

        async def letter() -> deadletters.DeadLetter | None:
            return await deadletters.show(jetstream, 1)

        await eventually(letter)
        shown = await letter()
        assert shown is not None
        assert shown.reason == "broken"
        assert deadletters.body_of(shown)["data"]["number"] == 7  # type: ignore[index]
        assert "body" not in deadletters.shown(shown)
        assert await deadletters.discard(jetstream, 1)
        assert await letter() is None
        assert not await deadletters.discard(jetstream, 1)


async def test_a_letter_whose_consumer_is_gone_is_not_given_back_and_stays(bus: NatsServer) -> None:
    """Its target was removed: the message would reach nobody, and the letter would be lost."""

    async def handle(event) -> None:
        raise Unprocessable("broken")

    rows = (On(Echoed, handle, target="two"),)
    async with bus.jetstream() as jetstream:

        async def letters() -> list[deadletters.DeadLetter]:
            return [letter async for letter in deadletters.every(jetstream)]

        async with living(worker(bus, handle, consumes=rows)), publisher(bus) as sender:
            await sender.publish(Echoed(number=1), id="a")
            await eventually(letters)
        before = await letters()
        await jetstream.delete_consumer("IMAGING", "worker_thing_echoed_two")
        with pytest.raises(deadletters.ConsumerGone, match="IMAGING has no consumer worker_thing_echoed_two"):
            await deadletters.retry(jetstream, before[0].number)
        assert await letters() == before


async def test_a_letter_that_does_not_say_whose_it_is_is_not_given_back(bus: NatsServer) -> None:
    async with bus.jetstream() as jetstream:
        written = await jetstream.publish("deadletter.worker.x", b"\xff\x00")
        with pytest.raises(deadletters.ConsumerGone, match="unknown"):
            await deadletters.retry(jetstream, written.seq)
        shown = await deadletters.show(jetstream, written.seq)
    assert shown is not None
    assert deadletters.body_of(shown) == {"base64": "/wA="}


async def test_the_ledger_hears_of_every_dead_letter(bus: NatsServer) -> None:
    told = []

    async def handle(event) -> None:
        raise Unprocessable("broken")

    async def note(letter: deadletters.DeadLetter) -> None:
        told.append(letter)

    settings = bus.settings()
    ledger = Service(name="ledger", settings=settings, bus=Bus(settings, "ledger"), consumes=(OnDeadLetter(note),))
    async with living(worker(bus, handle)), living(ledger), publisher(bus) as sender:
        await sender.publish(Noted(number=7), id="a")
        await eventually(lambda: told)
    assert (told[0].service, told[0].reason, told[0].event_id) == ("worker", "broken", "a")


async def test_a_dead_letter_about_a_dead_letter_is_not_written(bus: NatsServer) -> None:
    seen = []

    async def handle(event) -> None:
        raise Unprocessable("broken")

    async def fail(letter: deadletters.DeadLetter) -> None:
        seen.append(letter)
        raise Unprocessable("worse")

    settings = bus.settings()
    ledger = Service(name="ledger", settings=settings, bus=Bus(settings, "ledger"), consumes=(OnDeadLetter(fail),))
    async with living(worker(bus, handle)), living(ledger), publisher(bus) as sender, bus.jetstream() as jetstream:
        await sender.publish(Noted(number=7), id="a")
        await eventually(lambda: seen)
        await asyncio.sleep(0.3)
        assert (await jetstream.stream_info("DEADLETTERS")).state.messages == 1
        assert len(seen) == 1


async def test_lag_tells_what_is_not_done_and_what_is_missing(bus: NatsServer) -> None:
    async with publisher(bus) as sender, bus.jetstream() as jetstream:
        for number in range(3):
            await sender.publish(Noted(number=number), id=str(number))
        await jetstream.delete_consumer("IMAGING", "worker_thing_echoed_two")
        told = {one.consumer: one for one in await lag(jetstream, PLAN, TARGETS)}
    assert (told["worker_thing_noted"].total, told["worker_thing_noted"].service) == (3, "worker")
    assert told["worker_thing_echoed_one"].total == 0
    assert [name for name, one in told.items() if not one.exists] == ["worker_thing_echoed_two"]
