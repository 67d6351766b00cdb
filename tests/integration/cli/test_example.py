"""The subscriber that integrators start from: it hears what it missed, over restarts of either side."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest

from cli.embedded.plan import site_plan
from shared.messaging.provision import provision
from tests.support.nats import NatsServer

ROOT = Path(__file__).resolve().parents[3]
SUBJECT = "imaging.study.completed.v1"


class Subscriber:
    """The example as a process."""

    def __init__(self, url: str) -> None:
        self.lines: Queue[str] = Queue()
        command = [sys.executable, str(ROOT / "examples" / "subscriber.py"), url]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.strip())

    def stop(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def provisioned(nats_server: NatsServer) -> NatsServer:
    """A bus as a site has it."""

    async def work() -> None:
        async with nats_server.jetstream() as jetstream:
            await provision(jetstream, site_plan(), {"target": []})

    asyncio.run(work())
    return nats_server


@pytest.fixture
def subscriber(provisioned: NatsServer) -> Iterator[Subscriber]:
    """The example on that bus."""
    running = Subscriber(provisioned.url)
    yield running
    running.stop()


def complete(server: NatsServer, study: str) -> None:
    """Say that a study is completed."""
    event = {"specversion": "1.0", "id": study, "data": {"study_uid": study, "series": 1, "instances": 2}}

    async def work() -> None:
        async with server.jetstream() as jetstream:
            await jetstream.publish(SUBJECT, json.dumps(event).encode())

    asyncio.run(work())


def test_the_example_hears_what_comes_and_goes_on_after_the_bus_was_away(
    provisioned: NatsServer, subscriber: Subscriber
) -> None:
    complete(provisioned, "1.2.1")
    assert subscriber.lines.get(timeout=60) == "1.2.1 1 series 2 instances"
    provisioned.kill()
    provisioned.start()
    complete(provisioned, "1.2.2")
    # The acknowledgement of the first may have been lost with the server; then it comes again.
    heard = [subscriber.lines.get(timeout=30)]
    while not heard[-1].startswith("1.2.2"):
        heard.append(subscriber.lines.get(timeout=30))
    assert subscriber.process.poll() is None


def test_the_example_hears_what_it_missed(provisioned: NatsServer, subscriber: Subscriber) -> None:
    complete(provisioned, "1.2.1")
    assert subscriber.lines.get(timeout=60).startswith("1.2.1")
    subscriber.stop()
    complete(provisioned, "1.2.2")
    again = Subscriber(provisioned.url)
    try:
        while not again.lines.get(timeout=60).startswith("1.2.2"):
            pass
    finally:
        again.stop()
