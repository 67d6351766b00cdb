"""A replay reaches a service that is in the midst of its work."""

import asyncio

from nats.js import JetStreamContext
from structlog.testing import capture_logs

from cli.replay import replay
from tests.support.nats import NatsServer
from tests.support.services import PLAN, Noted, eventually, living, numbers, publisher, worker

TARGETS = {"target": ["one", "two"]}


async def test_what_was_in_work_when_it_was_replayed_is_done_again(bus: NatsServer) -> None:
    """The server ignores an acknowledgement from before, unless the message was given out again: then it takes it.

    8 ends before the replay gives it out again, 7 after.
    """
    got = []
    gates = {7: asyncio.Event(), 8: asyncio.Event()}

    async def handle(event) -> None:
        got.append(event)
        await gates[event.data.number].wait()

    service = worker(bus, handle, at_once=2)
    service.bus.publish_timeout = 0.3
    async with living(service), publisher(bus) as sender, bus.jetstream() as jetstream:
        for number in gates:
            await sender.publish(Noted(number=number), id=str(number))
        await eventually(lambda: len(got) == 2)
        await replay(jetstream, PLAN, TARGETS, "worker", 1)
        with capture_logs() as told:
            gates[8].set()
            await eventually(lambda: numbers(got) == [7, 8, 8])
        assert "not-settled" in {line["event"] for line in told}
        gates[7].set()
        await eventually(lambda: numbers(got) == [7, 8, 8, 7], within=5)
        await eventually(lambda: _all_settled(jetstream))


async def _all_settled(jetstream: JetStreamContext) -> bool:
    info = await jetstream.consumer_info("IMAGING", "worker_thing_noted")
    return info.num_pending == info.num_ack_pending == 0
