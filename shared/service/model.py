"""A service as data: what it consumes, publishes, runs and serves."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from faststream import FastStream
from starlette.routing import BaseRoute

from shared.messaging.bus import Bus
from shared.messaging.cloudevent import EventType, Received
from shared.messaging.deadletters import STREAM, WILDCARD, DeadLetter
from shared.messaging.names import durable
from shared.settings import ServiceSettings

Hook = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class On:
    """One row of the route table: ``handler`` gets each ``event``, ``at_once`` of them at a time.

    ``target`` is the parameter of a durable consumer that exists once per target.
    """

    event: type[EventType]
    handler: Callable[[Received[Any]], Awaitable[None]]
    target: str | None = None
    at_once: int = 4

    @property
    def subject(self) -> str:
        """The subject of the event."""
        return self.event.subject

    @property
    def stream(self) -> str:
        """The stream that holds the subject."""
        return self.event.stream()

    def durable(self, service: str) -> str:
        """The name of the durable consumer."""
        return durable(service, self.subject, self.target)


@dataclass(frozen=True)
class OnDeadLetter:
    """``handler`` gets each dead letter of every service."""

    handler: Callable[[DeadLetter], Awaitable[None]]
    at_once: int = 1

    @property
    def subject(self) -> str:
        """The subjects of all dead letters."""
        return WILDCARD

    @property
    def stream(self) -> str:
        """The stream of the dead letters."""
        return STREAM

    def durable(self, service: str) -> str:
        """The name of the durable consumer."""
        return durable(service, WILDCARD)


@dataclass(frozen=True)
class Task:
    """A server or loop that lives as long as the service; cancelled at the end, an error of it ends the process.

    Tasks start before the bus is there: what must go on through an outage of the bus (C-STORE, MLLP) is a task.
    """

    name: str
    run: Hook


@dataclass(frozen=True)
class Service:
    """One deployable, complete: ``run(service)`` lives it.

    ``checks`` say what it is not ready without (an error is a no), ``starts`` run before anything else (migrations,
    recovery), ``stops`` after everything else. ``interrupts`` are called when the end begins, for whatever would wait
    longer than that. ``routes`` are served beside /livez, /readyz and /metrics.

    ``stores`` names what it keeps its state and bytes in (``database``, or a store of the site): it alone writes there.
    """

    name: str
    settings: ServiceSettings
    bus: Bus
    consumes: tuple[On | OnDeadLetter, ...] = ()
    publishes: tuple[type[EventType], ...] = ()
    stores: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    routes: tuple[BaseRoute, ...] = ()
    checks: Mapping[str, Hook] = field(default_factory=lambda: MappingProxyType({}))
    starts: tuple[Hook, ...] = ()
    interrupts: tuple[Callable[[], None], ...] = ()
    stops: tuple[Hook, ...] = ()

    def application(self) -> FastStream:
        """The service as a FastStream application, with its whole life in the hooks."""
        from shared.service.life import Life

        return Life(self).application
