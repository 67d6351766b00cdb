"""Bytes that are held for those who have not said who they are yet: so many for all of them together."""

import socket
import threading

from services.dicom_ingest.adapters.guests import cut


class Allowance:
    """Shared by all connections. Whoever is still sending gives way to a newcomer, the oldest first.

    Every method may be called from any thread.
    """

    def __init__(self, most: int) -> None:
        """``most`` bytes at a time."""
        self._most = most
        #: In the order in which they came; those who have sent everything are in ``_complete``.
        self._sending: dict[socket.socket, int] = {}
        self._complete: dict[socket.socket, int] = {}
        self._lock = threading.Lock()

    def take(self, connection: socket.socket, count: int) -> bool:
        """Whether ``count`` bytes may be held for a connection, which must ``give`` them back before it is closed."""
        with self._lock:
            if sum(self._complete.values()) + count > self._most:
                return False
            while self._held() + count > self._most:
                oldest = next(iter(self._sending))
                del self._sending[oldest]
                cut(oldest)
            self._sending[connection] = count
            return True

    def complete(self, connection: socket.socket) -> None:
        """Everything has come: it does not give way any more."""
        with self._lock:
            if connection in self._sending:
                self._complete[connection] = self._sending.pop(connection)

    def give(self, connection: socket.socket) -> None:
        """Nothing is held for it any more."""
        with self._lock:
            self._sending.pop(connection, None)
            self._complete.pop(connection, None)

    def _held(self) -> int:
        return sum(self._sending.values()) + sum(self._complete.values())
