"""The port stays open whatever the system refuses for a while: threads, handles."""

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from services.dicom_ingest.adapters import listener as listening
from services.dicom_ingest.adapters.listener import Listener, ListenerRules
from tests.support.services import eventually


class Hall:
    """A listener with room for two, and how many it served."""

    def __init__(self) -> None:
        self.served = 0
        rules: Any = SimpleNamespace(door=SimpleNamespace(refresh=bool, expects=bool))
        nobody: Any = None
        self.listener = Listener(ListenerRules("127.0.0.1", 0, 2, 2, False, 0.1), rules, nobody, self._attend)
        self.port = self.listener.bind()

    def _attend(self, *_: object) -> Any:
        return SimpleNamespace(serve=self._serve)

    def _serve(self) -> None:
        self.served += 1

    def call(self) -> None:
        """Connect, and wait until the other end hangs up."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            assert connection.recv(1) == b""


@pytest.fixture
async def hall() -> AsyncIterator[Hall]:
    """It runs."""
    found = Hall()
    running = asyncio.ensure_future(found.listener.run())
    await asyncio.sleep(0)
    yield found
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_connection_for_which_there_is_no_thread_is_closed_and_the_next_one_served(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is free again."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("dicom"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            await asyncio.to_thread(hall.call)
    assert hall.served == 0
    await asyncio.to_thread(hall.call)
    await eventually(lambda: hall.served == 1)


async def test_without_handles_the_port_waits_a_little_before_it_looks_again(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits in the kernel's queue is served then."""
    accept, refused, pauses = socket.socket.accept, [errno.EMFILE, errno.ENFILE, errno.ECONNABORTED], []

    def take(listener: socket.socket) -> Any:
        connection = accept(listener)
        if refused:
            connection[0].close()
            raise OSError(refused.pop(0), "refused")
        return connection

    monkeypatch.setattr(socket.socket, "accept", take)
    monkeypatch.setattr(listening, "time", SimpleNamespace(sleep=pauses.append))
    for _ in range(5):
        await asyncio.to_thread(hall.call)
    await eventually(lambda: hall.served >= 1)
    assert len(pauses) == 2
