"""The heartbeat: tells the server that a message is still being worked on, from a thread of its own.

A handler may take any time, and a handler that blocks the event loop by mistake must not have its message delivered to
another one meanwhile. So the beats come from another thread over another connection. They stop when the event loop has
been silent for ``ABANDONED``: then the process is lost, and the message is better off elsewhere.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import nats.errors
from nats.aio.client import Client

from shared.messaging.connection import BusSettings, open_client

INTERVAL = 5.0
ABANDONED = 300.0
_IN_PROGRESS = b"+WPI"


class Heartbeat:
    """Keeps the messages whose reply subjects it is given; ``beat`` is called by the event loop that it watches."""

    def __init__(self, settings: BusSettings, service: str, interval: float = INTERVAL) -> None:
        self._settings = settings
        self._name = f"{service}-heartbeat"
        self.interval = interval
        self._kept: set[str] = set()
        self._alive = time.monotonic()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._live, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns at once."""
        self._stopped.set()

    def stopped(self, within: float) -> bool:
        """Whether ``stop`` is called, at once or ``within`` seconds."""
        return self._stopped.wait(within)

    def beat(self) -> None:
        """Say that the event loop lives."""
        self._alive = time.monotonic()

    def silence(self) -> float:
        """Seconds since the event loop last gave a sign of life."""
        return time.monotonic() - self._alive

    def keep(self, reply: str) -> None:
        """Hold the message that ``reply`` acknowledges."""
        self._kept.add(reply)

    def release(self, reply: str) -> None:
        """Hold it no longer."""
        self._kept.discard(reply)

    def _live(self) -> None:
        _run_quietly(self._beat_until_stopped())

    async def _beat_until_stopped(self) -> None:
        client = await open_client(self._settings, self._name, error_cb=_ignore)
        while not self._stopped.is_set():
            await asyncio.sleep(self.interval)
            if self.silence() < ABANDONED:
                await self._beat_once(client)
        with suppress(nats.errors.Error, OSError):
            await client.close()

    async def _beat_once(self, client: Client) -> None:
        for reply in tuple(self._kept):
            with suppress(nats.errors.Error, OSError):
                await client.publish(reply, _IN_PROGRESS)


async def _ignore(error: Exception) -> None:
    """The main connection reports what is wrong with the bus; twice would be noise."""


def _run_quietly(work: Coroutine[Any, Any, None]) -> None:
    with suppress(nats.errors.Error, OSError):
        asyncio.run(work)
