"""Clients that hold connections of an HTTP server and say nothing, or next to nothing, until they are stopped."""

import contextlib
import itertools
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence

#: How often each of them sends a byte more, seconds.
_NOW_AND_THEN = 0.5


@contextlib.contextmanager
def besieged(
    port: int, count: int, begun: bytes, addresses: Sequence[str], more: bytes = b""
) -> Iterator[Counter[str]]:
    """So many connections that begin with these bytes, and send those ``more`` one by one, now and then.

    One that is closed comes again at once. The statuses that they are answered, and ``closed`` without one.
    """
    told: Counter[str] = Counter()
    stop = threading.Event()
    siege = _Siege(port, begun, more, addresses, told)
    for _ in range(count):
        siege.come()
    thread = threading.Thread(target=siege.last, args=(stop,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join()
        siege.end()


class _Siege:
    def __init__(self, port: int, begun: bytes, more: bytes, addresses: Sequence[str], told: Counter[str]) -> None:
        self._port, self._begun, self._more, self._told = port, begun, more, told
        self._addresses = itertools.cycle(addresses)
        self._waiting = selectors.DefaultSelector()
        self._sent: dict[socket.socket, int] = {}

    def come(self) -> None:
        """One more connection."""
        connection = socket.socket()
        connection.bind((next(self._addresses), 0))
        connection.settimeout(30)
        connection.connect(("127.0.0.1", self._port))
        with contextlib.suppress(ConnectionError):  # it has to go already
            connection.sendall(self._begun)
        connection.setblocking(False)
        self._waiting.register(connection, selectors.EVENT_READ)
        self._sent[connection] = 0

    def last(self, stop: threading.Event) -> None:
        """Go on until it is to end."""
        again = time.monotonic() + _NOW_AND_THEN
        while not stop.is_set():
            for key, _ in self._waiting.select(0.1):
                assert isinstance(key.fileobj, socket.socket)
                self._hear(key.fileobj)
            if self._more and time.monotonic() > again:
                again = time.monotonic() + _NOW_AND_THEN
                for connection in list(self._sent):
                    self._drip(connection)

    def end(self) -> None:
        """Go away."""
        for connection in self._sent:
            connection.close()
        self._waiting.close()

    def _hear(self, connection: socket.socket) -> None:
        try:
            heard = connection.recv(4096)
        except OSError:
            heard = b""
        if heard.startswith(b"HTTP/1.1 "):
            self._told[heard[9:12].decode()] += 1
        if heard:
            return
        self._told["closed"] += 1
        self._waiting.unregister(connection)
        del self._sent[connection]
        connection.close()
        self.come()

    def _drip(self, connection: socket.socket) -> None:
        at = self._sent[connection] % len(self._more)
        with contextlib.suppress(OSError):
            connection.send(self._more[at : at + 1])
        self._sent[connection] += 1
