"""Services that tests run as processes; each handler leaves its traces in a folder, for it may not live to tell."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from shared.messaging.bus import Bus
from shared.messaging.standing import stand_aside
from shared.service import On, Service, Task
from shared.settings import ServiceSettings
from tests.support.services import Noted

_FOLDER = "CAUSEWAY_TEST_FOLDER"


def _note(name: str, text: str) -> None:
    with (Path(os.environ[_FOLDER]) / name).open("a") as file:
        file.write(text + "\n")


def _service(**parts: Any) -> Service:
    settings = ServiceSettings()
    return Service(name="worker", settings=settings, bus=Bus(settings, "worker"), **parts)


def build_slow() -> Service:
    """Takes a second for each message the first time it sees one, none later."""

    async def handle(event: Any) -> None:
        _note("started", str(event.data.number))
        if event.deliveries == 1:
            await asyncio.sleep(30)
        _note("done", str(event.data.number))

    return _service(consumes=(On(Noted, handle),))


def build_waiting() -> Service:
    """Of what is delivered again the first waits for what never comes, and says so; all others are done then."""
    waiting: list[int] = []

    async def handle(event: Any) -> None:
        _note("started", str(event.data.number))
        if event.deliveries > 1 and not waiting:
            waiting.append(event.data.number)
            await stand_aside()
            await asyncio.Event().wait()
        if event.deliveries == 1:
            await asyncio.Event().wait()
        _note("done", str(event.data.number))

    return _service(consumes=(On(Noted, handle),))


def build_poisoned() -> Service:
    """Message 13 kills the process; all others are done."""

    async def handle(event: Any) -> None:
        _note("started", str(event.data.number))
        await asyncio.sleep(0.1)
        if event.data.number == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(0.2)
        _note("done", str(event.data.number))

    return _service(consumes=(On(Noted, handle),))


def build_plain() -> Service:
    """Does what comes, and says when its task lives."""

    async def handle(event: Any) -> None:
        _note("done", str(event.data.number))

    async def stand() -> None:
        _note("task", "started")
        await asyncio.Event().wait()

    return _service(consumes=(On(Noted, handle),), tasks=(Task("standing", stand),))


def build_failing() -> Service:
    """A task of it fails once the bus is there."""

    async def fail() -> None:
        raise ValueError("DOE^JOHN")

    return _service(tasks=(Task("failing", fail),))


def build_closing() -> Service:
    """Closes its own connection once it stands, as nats-py does when it gives up."""
    service = _service(consumes=(On(Noted, _nothing),))

    async def close() -> None:
        await service.bus.until_connected()
        await service.bus.client.close()
        await asyncio.Event().wait()

    return replace(service, tasks=(Task("closing", close),))


async def _nothing(event: Any) -> None:
    """Does nothing."""


def build_indiscreet() -> Service:
    """Fails with the text of what it received."""

    async def handle(event: Any) -> None:
        _note("started", "x")
        try:
            raise KeyError(event.data.text)
        except KeyError as cause:
            raise ValueError(f"bad value {event.data.text}") from cause

    return _service(consumes=(On(Noted, handle),))


def build_freezing() -> Service:
    """Its first message stops the event loop for a minute."""

    async def handle(event: Any) -> None:
        _note("started", str(event.data.number))
        time.sleep(60)

    return _service(consumes=(On(Noted, handle),))


class Process:
    """``python -m shared.service`` on one of the factories above."""

    def __init__(self, factory: str, folder: Path, **environment: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._log = folder / "log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "shared.service", f"{__name__}:{factory}"],
                env={**os.environ, **environment, _FOLDER: str(folder)},
                cwd=Path(__file__).parents[2],
                stdout=log,
                stderr=log,
            )

    def lines(self, name: str) -> list[str]:
        """What the handlers noted under ``name``."""
        path = self.folder / name
        return path.read_text().split() if path.exists() else []

    def log(self) -> str:
        """What the process logged."""
        return self._log.read_text()

    def is_ready(self) -> bool:
        """Whether it said that it is."""
        return '"ready"' in self.log()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """SIGTERM; the exit status."""
        self.process.terminate()
        return self.process.wait(40)
