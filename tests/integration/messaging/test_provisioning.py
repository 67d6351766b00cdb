"""Streams and consumers are what the plan says, whatever they were."""

import asyncio

import nats.errors
import nats.js.errors
import pytest
from faststream.nats import JStream, NatsBroker, PullSub
from nats.js.api import ConsumerConfig, StreamConfig

from cli.setup.permissions import authorization, permissions
from shared.messaging.plan import read_plan
from shared.messaging.provision import provision
from tests.support.nats import NatsServer
from tests.support.services import PLAN, Echoed, Noted, eventually, living, publisher, worker

TARGETS = {"target": ["one", "two"]}


async def test_a_second_run_changes_nothing(nats_server: NatsServer) -> None:
    async with nats_server.jetstream() as jetstream:
        first = await provision(jetstream, PLAN, TARGETS)
        second = await provision(jetstream, PLAN, TARGETS)
    assert {change.how for change in first} == {"made"}
    assert {change.how for change in second} == {"kept"}
    assert [change.name for change in first] == [
        "IMAGING",
        "DEADLETTERS",
        "attempts",
        "worker_thing_noted",
        "worker_thing_echoed_one",
        "worker_thing_echoed_two",
        "ledger_deadletter",
    ]


async def test_what_drifted_is_put_right_and_keeps_its_messages(nats_server: NatsServer) -> None:
    """nats-py compares a consumer with nothing, so a change of ack_wait would never arrive."""
    async with nats_server.jetstream() as jetstream:
        await jetstream.add_stream(StreamConfig(name="IMAGING", subjects=["imaging.>"], duplicate_window=60))
        old = ConsumerConfig(durable_name="worker_thing_noted", filter_subject="imaging.thing.noted.v1", max_deliver=3)
        await jetstream.add_consumer("IMAGING", old)
        await jetstream.publish("imaging.thing.noted.v1", b"{}")
        changes = await provision(jetstream, PLAN, TARGETS)
        stream = await jetstream.stream_info("IMAGING")
        consumer = await jetstream.consumer_info("IMAGING", "worker_thing_noted")
    told = {change.name: change.how for change in changes}
    assert (told["IMAGING"], told["worker_thing_noted"]) == ("updated", "updated")
    assert (stream.config.duplicate_window, stream.state.messages) == (7200, 1)
    assert (consumer.config.max_deliver, consumer.config.ack_wait, consumer.num_pending) == (-1, 2, 1)


async def test_a_service_leaves_a_stream_as_operations_set_it(bus: NatsServer) -> None:
    """FastStream's default would reset it to no limit and a window of two minutes, without a word."""
    async with bus.jetstream() as jetstream:
        before = (await jetstream.stream_info("IMAGING")).config

        async def handle(event) -> None:
            """Nothing."""

        async with living(worker(bus, handle)):
            after = (await jetstream.stream_info("IMAGING")).config
        assert after == before

        stock = NatsBroker(bus.url, logger=None)
        stock.subscriber("imaging.thing.noted.v1", stream=JStream("IMAGING"), durable="x", pull_sub=PullSub(1))(handle)
        async with stock:
            await stock.start()
        reset = (await jetstream.stream_info("IMAGING")).config
    assert (before.duplicate_window, reset.duplicate_window) == (7200, 120)


async def test_consumers_that_nobody_plans_are_told_and_removed_only_on_demand(bus: NatsServer) -> None:
    async with bus.jetstream() as jetstream:
        fewer = {"target": ["one"]}
        assert "stray" in {change.how for change in await provision(jetstream, PLAN, fewer)}
        await jetstream.consumer_info("IMAGING", "worker_thing_echoed_two")
        assert "removed" in {change.how for change in await provision(jetstream, PLAN, fewer, prune=True)}
        with pytest.raises(nats.js.errors.NotFoundError):
            await jetstream.consumer_info("IMAGING", "worker_thing_echoed_two")


async def test_a_consumer_of_an_integrator_is_no_stray(bus: NatsServer) -> None:
    async with bus.jetstream() as jetstream:
        await jetstream.add_consumer("IMAGING", ConsumerConfig(durable_name="research", filter_subject="imaging.>"))
        changes = await provision(jetstream, PLAN, TARGETS, prune=True)
    assert "research" not in {change.name for change in changes}


async def test_a_service_may_do_what_the_plan_says_and_nothing_else(bus: NatsServer) -> None:
    granted = permissions(PLAN, TARGETS, {"sender": ["imaging.thing.noted.v1"]})
    passwords = dict.fromkeys(granted, "only-for-tests")
    bus.kill()
    bus.configure(authorization(granted, passwords, operator="operator-for-tests"))
    bus.start()
    got = []

    async def handle(event) -> None:
        got.append(event)
        if event.deliveries == 1:
            raise KeyError

    def login(service: str) -> dict[str, str]:
        return {"nats_user": service, "nats_password": "only-for-tests"}

    service = worker(bus, handle, **login("worker"))
    async with living(service), publisher(bus, **login("sender")) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: len(got) == 2)
        with pytest.raises(nats.errors.Error):
            await asyncio.wait_for(_publish_forbidden(sender.client), 2)


async def _publish_forbidden(client) -> None:
    await client.jetstream(timeout=1).publish(Echoed.subject, b"{}")


def test_a_subject_in_no_stream_or_in_two_is_refused() -> None:
    streams = [{"name": "A", "subjects": ["a.>"]}, {"name": "B", "subjects": ["a.b.>"]}]
    for subject, count in (("c.d.e.v1", 0), ("a.b.c.v1", 2)):
        with pytest.raises(ValueError, match=f"lies in {count} streams"):
            read_plan({"streams": streams, "consumers": [{"service": "x", "subject": subject}]})
