"""The watchdog ends a frozen process, and leaves one alone whose service has ended."""

import threading

from shared.messaging.heartbeat import Heartbeat
from shared.service.life import _watch
from shared.settings import ServiceSettings


def test_the_watchdog_of_a_service_that_has_stopped_ends_itself() -> None:
    heartbeat = Heartbeat(ServiceSettings(), "watched")
    heartbeat.beat()
    watchdog = threading.Thread(target=_watch, args=(heartbeat,), daemon=True)
    watchdog.start()
    assert watchdog.is_alive()
    heartbeat.stop()
    watchdog.join(20)
    assert not watchdog.is_alive()
