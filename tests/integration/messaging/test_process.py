"""A service as a process: killed, poisoned, frozen, ended; with and without a bus."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from shared.messaging import deadletters
from shared.messaging.attempts import HANDOVER
from tests.support.nats import NatsServer
from tests.support.ports import free_ports
from tests.support.processes_of_services import Process
from tests.support.services import Noted, eventually, provision_for_tests, publisher

Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path, nats_server: NatsServer) -> Iterator[Start]:
    """Starts a process of a service on the server."""
    started: list[Process] = []

    def begin(factory: str, **environment: str) -> Process:
        bus = {"CAUSEWAY_NATS_URL": nats_server.url}
        started.append(Process(factory, tmp_path / "service", **(bus | environment)))
        return started[-1]

    yield begin
    for process in started:
        process.kill()


async def test_a_message_survives_the_kill_of_its_process(bus: NatsServer, start: Start) -> None:
    async with publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        first = start("build_slow")
        await eventually(lambda: first.lines("started"))
        first.kill()
        assert first.lines("done") == []
        second = start("build_slow")
        await eventually(lambda: second.lines("done") == ["1"])
        assert second.end() == 0


async def test_one_that_waits_holds_up_no_other_after_a_kill(bus: NatsServer, start: Start) -> None:
    """All died with the process; the first is waiting again, and the others need not wait for it."""
    async with publisher(bus) as sender:
        for number in (1, 2, 3):
            await sender.publish(Noted(number=number), id=str(number))
        first = start("build_waiting")
        await eventually(lambda: len(first.lines("started")) == 3)
        first.kill()
        second = start("build_waiting")
        await eventually(lambda: len(second.lines("done")) == 2, within=HANDOVER / 2)
        second.kill()


@pytest.mark.slow
async def test_what_kills_its_process_ends_as_a_dead_letter_and_takes_no_other_with_it(
    bus: NatsServer, start: Start
) -> None:
    numbers = [1, 2, 13, 3, 4, 5, 6, 7]
    async with publisher(bus) as sender, bus.jetstream() as jetstream:
        for number in numbers:
            await sender.publish(Noted(number=number), id=str(number))

        async def buried() -> list[deadletters.DeadLetter]:
            return [letter async for letter in deadletters.every(jetstream)]

        process = start("build_poisoned")
        for _ in range(20):
            while process.process.poll() is None and not await buried():
                await asyncio.sleep(0.1)
            if await buried():
                break
            process = start("build_poisoned")
        (letter,) = await buried()
        assert (letter.reason, letter.event_id) == ("kills-its-process", "13")
        await eventually(lambda: set(process.lines("done")) == {"1", "2", "3", "4", "5", "6", "7"})
        assert process.end() == 0


async def test_a_service_starts_without_a_bus_and_begins_when_it_comes(nats_server: NatsServer, start: Start) -> None:
    nats_server.kill()
    (port,) = free_ports(1)
    process = start("build_plain", CAUSEWAY_HTTP_PORT=str(port))
    await eventually(lambda: process.lines("task"))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        assert (await http.get("/livez")).status_code == 200
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["bus"]) == (503, "bus-away")
        nats_server.start()
        await provision_for_tests(nats_server)
        async with publisher(nats_server) as sender:
            await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: process.lines("done") == ["1"])
        assert (await http.get("/readyz")).status_code == 200
    assert process.end() == 0


async def test_a_service_waits_for_its_consumers_instead_of_making_them(nats_server: NatsServer, start: Start) -> None:
    """A consumer that nats-py makes keeps the settings of that day for ever."""
    process = start("build_plain")
    await eventually(lambda: "waiting-for-provisioner" in process.log())
    async with nats_server.jetstream() as jetstream:
        assert await jetstream.streams_info() == []
        await provision_for_tests(nats_server)
        await eventually(process.is_ready)
        info = await jetstream.consumer_info("IMAGING", "worker_thing_noted")
        assert (info.config.ack_wait, info.config.max_deliver) == (2, -1)
    assert process.end() == 0


async def test_the_failure_of_a_task_ends_the_process_with_an_error(bus: NatsServer, start: Start) -> None:
    process = start("build_failing")
    await eventually(lambda: process.process.poll() is not None)
    assert process.process.returncode == 1
    assert "task-failed" in process.log()
    assert "DOE" not in process.log()


async def test_the_loss_of_its_consumer_ends_the_process(bus: NatsServer, start: Start) -> None:
    """FastStream asks again two thousand times a second, without a word, for ever."""
    process = start("build_plain")
    await eventually(process.is_ready)
    async with bus.jetstream() as jetstream:
        await jetstream.delete_consumer("IMAGING", "worker_thing_noted")
    await eventually(lambda: process.process.poll() is not None)
    assert process.process.returncode == 1
    assert "consumer-lost" in process.log()


async def test_nothing_of_a_message_is_logged(bus: NatsServer, start: Start) -> None:
    """Neither the text of an error, nor that of its cause, nor what could not be read; but where it happened."""
    process = start("build_indiscreet", CAUSEWAY_LOG_LEVEL="DEBUG")
    async with publisher(bus) as sender, bus.jetstream() as jetstream:
        await sender.publish(Noted(number=1, text="DOE^JOHN"), id="a")
        await jetstream.publish("imaging.thing.noted.v1", b'{"data": "DOE^JOHN"}')
        await eventually(lambda: len(process.lines("started")) >= 2 and "dead-letter" in process.log())
    assert process.end() == 0
    assert "handler-failed" in process.log()
    assert "processes_of_services.py" in process.log()
    assert "DOE" not in process.log()


async def test_a_connection_that_is_closed_for_good_ends_the_process(bus: NatsServer, start: Start) -> None:
    """FastStream's loop then never yields again: no health, no SIGTERM, no log."""
    process = start("build_closing")
    await eventually(lambda: process.process.poll() is not None)
    assert process.process.returncode == 1


async def test_a_service_that_is_no_longer_let_in_ends_in_order_with_an_error(bus: NatsServer, start: Start) -> None:
    """FastStream raises the refusal inside nats-py's reconnection, which then ends without a word, for ever."""
    process = start("build_plain")
    await eventually(process.is_ready)
    bus.kill()
    bus.configure("authorization { users: [ { user: operator, password: only-for-tests } ] }")
    bus.start()
    await eventually(lambda: process.process.poll() is not None)
    assert process.process.returncode == 1
    assert '"stopped"' in process.log()


async def test_the_restart_of_the_bus_ends_no_service(bus: NatsServer, start: Start) -> None:
    process = start("build_plain")
    await eventually(process.is_ready)
    bus.kill()
    bus.start()
    async with publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
    await eventually(lambda: process.lines("done") == ["1"])
    assert process.end() == 0


@pytest.mark.parametrize("before", ["connected", "never-connected"])
async def test_a_service_ends_in_order_without_a_bus(bus: NatsServer, start: Start, before: str) -> None:
    if before == "never-connected":
        bus.kill()
    process = start("build_plain")
    await eventually(process.is_ready if before == "connected" else lambda: process.lines("task"))
    bus.kill()
    assert await asyncio.to_thread(process.end) == 0


@pytest.mark.slow
async def test_a_frozen_event_loop_shows_on_livez(bus: NatsServer, start: Start) -> None:
    (port,) = free_ports(1)
    process = start("build_freezing", CAUSEWAY_HTTP_PORT=str(port))
    async with publisher(bus) as sender, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: process.lines("started"))
        assert (await http.get("/livez")).status_code == 200

        async def frozen() -> bool:
            answer = await http.get("/livez")
            return answer.status_code == 503 and answer.json() == {"status": "frozen"}

        await eventually(frozen, within=40)
        assert "causeway_loop_silence_seconds" in (await http.get("/metrics")).text
