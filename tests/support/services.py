"""A small service on a real bus, alive in the test's own process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from shared.messaging.bus import Bus
from shared.messaging.plan import Plan, read_plan
from shared.messaging.provision import provision
from shared.service.life import Life
from shared.service.model import On, Service
from tests.support.nats import NatsServer


class Noted(BaseModel):
    """An event for tests: ``imaging.thing.noted.v1``."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
    subject: ClassVar[str] = "imaging.thing.noted.v1"

    number: int
    text: str = ""

    @classmethod
    def stream(cls) -> str:
        return "IMAGING"


class Echoed(Noted):
    """Another: ``imaging.thing.echoed.v1``."""

    subject: ClassVar[str] = "imaging.thing.echoed.v1"


PLAN: Plan = read_plan(
    {
        "streams": [
            {"name": "IMAGING", "subjects": ["imaging.>"], "duplicate_window": "2h"},
            {"name": "DEADLETTERS", "subjects": ["deadletter.>"]},
        ],
        "consumers": [
            {"service": "worker", "subject": "imaging.thing.noted.v1", "ack_wait": "2s"},
            {"service": "worker", "subject": "imaging.thing.echoed.v1", "each": "target"},
            {"service": "ledger", "subject": "deadletter.>"},
        ],
    }
)


async def provision_for_tests(server: NatsServer) -> None:
    """Apply ``PLAN`` for the targets ``one`` and ``two``."""
    async with server.jetstream() as jetstream:
        await provision(jetstream, PLAN, {"target": ["one", "two"]})


def worker(server: NatsServer, handler: Callable[[Any], Awaitable[None]], **others: Any) -> Service:
    """A service that hands ``imaging.thing.noted.v1`` to ``handler``; ``others`` are settings or parts of it."""
    settings = server.settings(**{name: others.pop(name) for name in tuple(others) if name.startswith("nats_")})
    rows = others.pop("consumes", (On(Noted, handler, at_once=others.pop("at_once", 4)),))
    return Service(name="worker", settings=settings, bus=Bus(settings, "worker"), consumes=rows, **others)


@asynccontextmanager
async def living(service: Service, *, heartbeat: float = 5) -> AsyncIterator[Life]:
    """``service`` from ready to stopped."""
    life = Life(service, heartbeat=heartbeat)
    try:
        await life.application.start()
        try:
            yield life
        finally:
            await life.application.stop()
    finally:
        life.heartbeat.stop()  # where it could not stop, its watchdog would end this process


@asynccontextmanager
async def publisher(server: NatsServer, service: str = "sender", **settings: object) -> AsyncIterator[Bus]:
    """A connected bus that only publishes."""
    bus = Bus(server.settings(**settings), service)
    await bus.connect()
    try:
        yield bus
    finally:
        await bus.close()


async def eventually(truth: Callable[[], Any], within: float = 90) -> None:
    """Wait until ``truth()`` (or what it awaits) holds; AssertionError after ``within`` seconds."""
    deadline = datetime.now(UTC) + timedelta(seconds=within)
    while True:
        told = truth()
        if await told if isinstance(told, Awaitable) else told:
            return
        assert datetime.now(UTC) < deadline, "it never became true"
        await asyncio.sleep(0.02)


def numbers(events: Iterable[Any]) -> list[int]:
    """The numbers of received events, in their order."""
    return [event.data.number for event in events]
