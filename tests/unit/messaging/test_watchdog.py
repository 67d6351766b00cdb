"""The watchdog ends a frozen process, and leaves one alone whose service has ended."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.messaging.heartbeat import Heartbeat
from shared.service import life
from shared.settings import ServiceSettings


@contextmanager
def watched(heartbeat: Heartbeat, loop: asyncio.AbstractEventLoop) -> Iterator[threading.Thread]:
    """A watchdog at work; it must have ended in the end."""
    heartbeat.beat()
    watchdog = threading.Thread(target=life._watch, args=(heartbeat, loop), daemon=True)
    watchdog.start()
    assert watchdog.is_alive()
    yield watchdog
    watchdog.join(20)
    assert not watchdog.is_alive()


def test_the_watchdog_of_a_service_that_has_stopped_ends_itself() -> None:
    heartbeat, loop = Heartbeat(ServiceSettings(), "watched"), asyncio.new_event_loop()
    with watched(heartbeat, loop):
        heartbeat.stop()
    loop.close()


def test_so_does_that_of_a_service_that_was_cut_off_with_its_loop() -> None:
    loop = asyncio.new_event_loop()
    with watched(Heartbeat(ServiceSettings(), "watched"), loop):
        loop.close()


def test_it_ends_a_process_whose_loop_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(life, "ABANDONED", 0.2)
    monkeypatch.setattr(life, "PULSE", 0.02)
    monkeypatch.setattr(life.os, "_exit", ended.append)
    monkeypatch.setattr(life.faulthandler, "dump_traceback", lambda: None)
    loop = asyncio.new_event_loop()
    with watched(Heartbeat(ServiceSettings(), "watched"), loop):
        pass
    loop.close()
    assert ended == [life.FROZEN_STATUS]
