"""The DICOM port: one thread accepts, one thread serves each association, and their number is bounded."""

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from services.dicom_ingest.adapters.association import AssociationRules
from services.dicom_ingest.adapters.greeting import LOCAL_LIMIT_EXCEEDED, Refusal
from services.dicom_ingest.ports import Receiver
from shared.errors import RetryLater

_BACKLOG = 128
_SWITCH = 0.0002
#: How often files are looked at when nobody calls, seconds.
_REFRESH = 2.0


@dataclass(frozen=True)
class ListenerRules:
    """Where to listen and for how many; ``grace`` is how long a stop waits for associations, seconds."""

    host: str
    port: int
    most: int
    most_per_address: int
    shared_port: bool
    grace: float


class NotListening(RetryLater):
    """The port is not open."""


class Attended(Protocol):
    """One connection, served or turned away on the thread that calls."""

    def serve(self) -> None:
        """Serve the peer until one of both ends it."""
        ...

    def refuse(self, refusal: Refusal) -> None:
        """Hear the greeting and turn it down."""
        ...


class Guests:
    """Counts connections, all of them and by address."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most, self._most_per_address = most, most_per_address
        self._present: dict[str, int] = {}
        self._lock = threading.Lock()

    def enter(self, address: str) -> bool:
        """Whether one more may be served; if so it must ``leave``."""
        with self._lock:
            here = self._present.get(address, 0)
            if sum(self._present.values()) >= self._most or here >= self._most_per_address:
                return False
            self._present[address] = here + 1
            return True

    def leave(self, address: str) -> None:
        """A connection is over."""
        with self._lock:
            self._present[address] -= 1
            if not self._present[address]:
                del self._present[address]


#: Makes what attends to a connection from an address.
Attend = Callable[[socket.socket, str, AssociationRules, Receiver], Attended]


class Listener:
    """Accepts connections while ``run`` is awaited, and has ``attend`` serve them."""

    def __init__(
        self, rules: ListenerRules, association_rules: AssociationRules, reception: Receiver, attend: Attend
    ) -> None:
        self._attended = attend
        self._rules = rules
        self._association_rules = association_rules
        self._reception = reception
        self._served = Guests(rules.most, rules.most_per_address)
        self._turned_away = Guests(rules.most, rules.most_per_address)
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._socket: socket.socket | None = None

    def bind(self) -> int:
        """Take the port and return its number; OSError when it is taken."""
        family = socket.AF_INET6 if ":" in self._rules.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._rules.shared_port:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind((self._rules.host, self._rules.port))
        self._socket.listen(_BACKLOG)
        return int(self._socket.getsockname()[1])

    async def ready(self) -> None:
        """NotListening before the port is taken and after it was given up."""
        if self._socket is None or self._socket.fileno() < 0:
            raise NotListening("dicom-not-listening")

    async def run(self) -> None:
        """Serve until cancelled; then let the associations finish what they are at, for a while."""
        if self._socket is None:
            self.bind()
        # An association gives the interpreter up at each read, write and sync; with the default of 5 ms it would wait
        # that long for a thread that renders headers, again and again.
        sys.setswitchinterval(_SWITCH)
        acceptor = threading.Thread(target=self._accept, name="dicom-accept", daemon=True)
        acceptor.start()
        try:
            while True:
                await asyncio.sleep(_REFRESH)
                await asyncio.to_thread(self._association_rules.door.refresh)
        finally:
            self._stop_listening()
            await asyncio.to_thread(self._drain)

    def _stop_listening(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def _drain(self) -> None:
        """Wait for the associations, then cut those that are left."""
        timer = threading.Timer(self._rules.grace, self._cut)
        timer.start()
        for thread in list(self._connections):
            thread.join()
        timer.cancel()

    def _cut(self) -> None:
        for connection in list(self._connections.values()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        listening = self._socket
        while listening is not None:
            try:
                connection, peer = listening.accept()
            except OSError:
                if listening.fileno() < 0:
                    return
                continue
            self._admit(connection, peer[0])

    def _admit(self, connection: socket.socket, address: str) -> None:
        """Serve, turn away with a reason, or close at once when even turning away is too much."""
        for guests, refused in ((self._served, False), (self._turned_away, True)):
            if guests.enter(address):
                thread = threading.Thread(
                    target=self._attend, args=(connection, address, guests, refused), name="dicom", daemon=True
                )
                self._connections[thread] = connection
                thread.start()
                return
        connection.close()

    def _attend(self, connection: socket.socket, address: str, guests: Guests, refused: bool) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            association = self._attended(connection, address, self._association_rules, self._reception)
            if refused:
                association.refuse(LOCAL_LIMIT_EXCEEDED)
            else:
                association.serve()
        finally:
            connection.close()
            guests.leave(address)
            self._connections.pop(threading.current_thread(), None)
