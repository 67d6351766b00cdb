"""The life of a service: start, serve, stop, and the exit status.

Start: HTTP first (a service that waits says so), then migrations and recovery, then its tasks, then the bus, however
long that takes, then the wait for streams and consumers, then consuming. Stop: stop pulling and finish what is in work,
then the tasks, then the connection. The process ends non-zero when a task ends with an error, when a consumer is lost,
or when the event loop stands still.
"""

import asyncio
import faulthandler
import os
import signal
import threading
from collections.abc import Collection, Coroutine
from contextlib import suppress
from typing import Any

import nats.errors
import nats.js.errors
from faststream import FastStream

from shared.errors import RetryLater
from shared.http import Check, HttpServer
from shared.messaging.attempts import BUCKET
from shared.messaging.heartbeat import ABANDONED, INTERVAL, Heartbeat
from shared.messaging.reliability import Settlement
from shared.messaging.subscriber import DurableSubscriber
from shared.observability import logger
from shared.service.model import Service, Task
from shared.service.routes import bind

PULSE = 1.0
#: Seconds for what a task does at its end, before it is cancelled once more.
CANCEL_AGAIN = 10.0
FIND_PAUSE = 0.5
#: ``sysexits.h`` EX_SOFTWARE: the loop stood still.
FROZEN_STATUS = 70

log = logger("causeway.service")


class NotReady(RetryLater):
    """A readiness check says no."""


class Life:
    """One life of one service in this process."""

    def __init__(self, service: Service, *, heartbeat: float = INTERVAL) -> None:
        self._service = service
        self.heartbeat = Heartbeat(service.settings, service.name, heartbeat)
        service.bus.broker.add_middleware(Settlement(service.bus, self.heartbeat).middleware())
        self._subscribers: list[DurableSubscriber] = bind(service)
        self._background: list[asyncio.Task[None]] = []
        self._pulse: asyncio.Task[None] | None = None
        self._server: HttpServer | None = None
        self._consuming = False
        self.failed = asyncio.Event()
        self.failure: BaseException | None = None
        self.application = FastStream(
            service.bus.broker,
            logger=None,
            on_startup=[self._open],
            after_startup=[self._opened],
            on_shutdown=[self._closing],
            after_shutdown=[self._closed],
        )

    @property
    def http_port(self) -> int:
        """The port of the HTTP server, once it listens."""
        return self._server.port if self._server else 0

    async def _open(self) -> None:
        self._start_pulse()
        self._start_server()
        for start in self._service.starts:
            await start()
        self._supervise("bus", self._service.bus.until_failed())
        for task in self._service.tasks:
            self._supervise(task.name, self._lived(task))
        await self._service.bus.connect()
        self.heartbeat.start()
        await self._find_consumers()

    async def _opened(self) -> None:
        self._consuming = True
        log.info("ready", service=self._service.name, http_port=self.http_port)

    async def _closing(self) -> None:
        log.info("stopping", service=self._service.name)
        self._consuming = False
        for interrupt in self._service.interrupts:
            interrupt()
        await asyncio.gather(*(subscriber.stop() for subscriber in self._subscribers))
        await _end(self._background)

    async def _closed(self) -> None:
        for stop in self._service.stops:
            await stop()
        self.heartbeat.stop()
        if self._server is not None:
            await self._server.stop()
        if self._pulse is not None:
            self._pulse.cancel()
        log.info("stopped", service=self._service.name)

    def _start_pulse(self) -> None:
        self._pulse = asyncio.create_task(self._beat(), name="pulse")
        loop = asyncio.get_running_loop()
        threading.Thread(target=_watch, args=(self.heartbeat, loop), name="watchdog", daemon=True).start()

    async def _beat(self) -> None:
        while True:
            self.heartbeat.beat()
            await asyncio.sleep(PULSE)

    def _start_server(self) -> None:
        self._server = HttpServer(
            self._service.settings,
            routes=self._service.routes,
            checks=self._checks(),
            silence=self.heartbeat.silence,
        )
        self._server.start()

    def _checks(self) -> dict[str, Check]:
        return {"bus": self._check_bus, "consumers": self._check_consumers, **self._service.checks}

    async def _check_bus(self) -> None:
        if not self._service.bus.connected:
            raise NotReady("bus-away")

    async def _check_consumers(self) -> None:
        if not self._consuming:
            raise NotReady("not-consuming")

    def _supervise(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._background.append(task)

    async def _lived(self, task: Task) -> None:
        await task.run()
        log.info("task-done", task=task.name)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("task-failed", task=task.get_name(), exc_info=error)
            self.failure = self.failure or error
            self.failed.set()

    async def _find_consumers(self) -> None:
        """Wait until everything that the provisioner makes is there; pulling from what isn't would spin."""
        if not self._subscribers:
            return
        for subscriber in self._subscribers:
            await self._find(subscriber.stream.name, subscriber.durable)
        await self._find(f"KV_{BUCKET}")

    async def _find(self, stream: str, durable: str | None = None) -> None:
        while True:
            if await self._exists(stream, durable):
                return
            log.info("waiting-for-provisioner", stream=stream, consumer=durable)
            await asyncio.sleep(FIND_PAUSE)

    async def _exists(self, stream: str, durable: str | None = None) -> bool:
        try:
            if durable is None:
                await self._service.bus.jetstream.stream_info(stream)
            else:
                await self._service.bus.jetstream.consumer_info(stream, durable)
        except (nats.js.errors.APIError, nats.errors.Error, RetryLater, OSError):
            return False
        return True


async def live(service: Service) -> None:
    """Live ``service`` until SIGTERM or SIGINT, or until it fails: then the failure is raised."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    life = Life(service)
    starting = asyncio.create_task(life.application.start(), name="starting")
    waits = {starting, asyncio.create_task(ended.wait()), asyncio.create_task(life.failed.wait())}
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    failure = starting.exception() if starting.done() else None
    if failure is None and starting.done():
        await asyncio.wait(waits - {starting}, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await starting
    await life.application.stop()
    if failure or life.failure:
        raise failure or life.failure  # type: ignore[misc]


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel ``tasks`` until they have ended.

    Once is not always enough: in Python 3.11 ``wait_for``, by which nats-py awaits every answer, loses a cancellation
    that comes together with what it waits for.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN)


def _watch(heartbeat: Heartbeat, loop: asyncio.AbstractEventLoop) -> None:
    """End the process when its event loop has stood still for too long: nothing else in it can."""
    while heartbeat.silence() < ABANDONED:
        # A life that has ended is silent as well, and so is one that was cut off with its loop; whatever else this
        # process does goes on.
        if heartbeat.stopped(PULSE * 5) or loop.is_closed():
            return
    faulthandler.dump_traceback()
    os._exit(FROZEN_STATUS)
