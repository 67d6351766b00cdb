"""Peers that may send so fast and no faster: what comes too early is taken later, and nothing is lost."""

import select
import socket
import threading
import time
from collections.abc import Callable

from services.dicom_ingest.domain.peers import Peer, Rate
from services.dicom_ingest.ports import Incoming

#: A peer may be ahead of its rate by so much, seconds: a burst is no excess.
_BURST = 1.0


def wait(connection: socket.socket, seconds: float) -> None:
    """Wait so long, but no longer than the connection lasts: ConnectionAbortedError when the peer or we have ended it.

    What a peer has sent before it went is not read any more: nobody would hear the answer.
    """
    ends = select.poll()
    ends.register(connection, select.POLLRDHUP)  # POLLHUP and POLLERR are told in any case
    if ends.poll(seconds * 1000):
        raise ConnectionAbortedError


class Pace:
    """So much a second, over all associations of a peer."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._due = clock() - _BURST
        self._lock = threading.Lock()

    def take(self, amount: float) -> float:
        """Seconds to wait after ``amount`` more has come."""
        with self._lock:
            now = self._clock()
            self._due = max(self._due, now - _BURST) + amount / self._per_second
            return max(0.0, self._due - now)


class Paces:
    """Lets those wait who are too fast: then nothing is read of their connection, and they wait too."""

    def __init__(self, wait: Callable[[socket.socket, float], None] = wait) -> None:
        self._wait = wait
        self._paces: dict[Peer, tuple[Pace | None, Pace | None]] = {}
        self._lock = threading.Lock()

    def keep(self, peer: Peer, incoming: Incoming, connection: socket.socket) -> Incoming:
        """The instance, which comes over ``connection``, at the peer's pace if it has one."""
        if peer.rate == Rate():
            return incoming
        return _PacedIncoming(incoming, *self._paces_of(peer), lambda seconds: self._wait(connection, seconds))

    def pause(self, peer: Peer, size: int, instances: int) -> float:
        """Seconds that the peer is too fast by after so many bytes and instances more, for who waits in its own way."""
        if peer.rate == Rate():
            return 0.0
        taken = zip(self._paces_of(peer), (instances, size), strict=True)
        return max(pace.take(amount) if pace is not None and amount else 0.0 for pace, amount in taken)

    def _paces_of(self, peer: Peer) -> tuple[Pace | None, Pace | None]:
        with self._lock:
            if peer not in self._paces:
                instances, size = peer.rate.instances, peer.rate.size
                self._paces[peer] = (Pace(instances) if instances else None, Pace(size) if size else None)
            return self._paces[peer]


class _PacedIncoming:
    """An instance that waits after each piece; ConnectionAbortedError when the connection ends meanwhile."""

    def __init__(
        self, incoming: Incoming, instances: Pace | None, size: Pace | None, wait: Callable[[float], None]
    ) -> None:
        self._incoming = incoming
        self._instances, self._size = instances, size
        self._pause = wait

    def write(self, chunk: memoryview) -> None:
        """Take the next bytes, then wait until they were due."""
        self._incoming.write(chunk)
        self._wait(self._size, len(chunk))

    def commit(self) -> None:
        """Make it durable, then wait until it was due: the answer comes after that."""
        self._incoming.commit()
        self._wait(self._instances, 1)

    def abandon(self) -> None:
        """Leave nothing of it."""
        self._incoming.abandon()

    def _wait(self, pace: Pace | None, amount: int) -> None:
        if pace is not None and (seconds := pace.take(amount)) > 0:
            self._pause(seconds)
