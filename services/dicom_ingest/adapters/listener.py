"""The DICOM port: one thread accepts, one thread serves each association, and their number is bounded."""

import asyncio
import contextlib
import errno
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from services.dicom_ingest.adapters.association_rules import AssociationRules
from services.dicom_ingest.adapters.greeting import LOCAL_LIMIT_EXCEEDED, Refusal
from services.dicom_ingest.adapters.guests import Guests, Place
from services.dicom_ingest.adapters.tls import TlsPort
from services.dicom_ingest.ports import Receiver
from shared.errors import RetryLater
from shared.giving_way import Progress
from shared.observability import logger, metrics

log = logger("dicom_ingest.listener")

_BACKLOG = 128
#: What ``accept`` says of a peer that is gone; all else is of us, and lasts a while: no handles, no memory.
_OF_THE_PEER = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EINTR})
_PAUSE = 0.1
_SWITCH = 0.0002
#: How often files are looked at when nobody calls, seconds.
_REFRESH = 2.0
#: What associations that were cut at a stop get to end, seconds; one that sits in a sync may take longer.
_LAST = 5.0


@dataclass(frozen=True)
class ListenerRules:
    """Where to listen and for how many; ``grace`` is how long a stop waits for associations, seconds.

    ``tls`` secures what arrives at ``tls_port``.
    """

    host: str
    port: int
    most: int
    most_per_address: int
    shared_port: bool
    grace: float
    tls_port: int | None = None
    tls: TlsPort | None = None


class NotListening(RetryLater):
    """The port is not open."""


class Attended(Protocol):
    """One connection, served or turned away on the thread that calls.

    ``greeted`` is called when the peer has said who it is, with what tells how it gets on and whether the registry
    knows it; before that, and while it does not get on, it may have to give way to another.
    """

    greeted: Callable[[Progress, bool], object]

    def serve(self) -> None:
        """Serve the peer until one of both ends it."""
        ...

    def refuse(self, refusal: Refusal) -> None:
        """Hear the greeting and turn it down."""
        ...


def _code(error: OSError) -> str | None:
    """OpenSSL's name of what was wrong, such as ``certificate_verify_failed``."""
    reason = getattr(error, "reason", None)
    return reason.lower() if isinstance(reason, str) else None


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
        self._served = Guests(rules.most, rules.most_per_address, association_rules.door.expects)
        self._turned_away = Guests(rules.most, rules.most_per_address)
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._sockets: list[socket.socket] = []

    def bind(self) -> int:
        """Take the ports and return the number of the plain one; OSError when one is taken."""
        ports = (self._rules.port, self._rules.tls_port) if self._rules.tls else (self._rules.port,)
        self._sockets = [self._listen(port) for port in ports if port is not None]
        return int(self._sockets[0].getsockname()[1])

    def _listen(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._rules.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._rules.shared_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((self._rules.host, port))
        listening.listen(_BACKLOG)
        return listening

    async def ready(self) -> None:
        """NotListening before the port is taken and after it was given up."""
        if not self._sockets or any(each.fileno() < 0 for each in self._sockets):
            raise NotListening("dicom-not-listening")

    async def run(self) -> None:
        """Serve until cancelled; then let the associations finish what they are at, for a while."""
        if not self._sockets:
            self.bind()
        # An association gives the interpreter up at each read, write and sync; with the default of 5 ms it would wait
        # that long for a thread that renders headers, again and again.
        sys.setswitchinterval(_SWITCH)
        for listening, tls in zip(self._sockets, (None, self._rules.tls), strict=False):
            threading.Thread(target=self._accept, args=(listening, tls), name="dicom-accept", daemon=True).start()
        try:
            while True:
                await asyncio.sleep(_REFRESH)
                await asyncio.to_thread(self._refresh)
        finally:
            self._stop_listening()
            await asyncio.to_thread(self._drain)

    def _refresh(self) -> None:
        self._association_rules.door.refresh()
        if self._rules.tls is not None:
            self._rules.tls.refresh()

    def _stop_listening(self) -> None:
        for listening in self._sockets:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    def _drain(self) -> None:
        """Wait for the associations, then cut those that are left, and wait a little longer.

        None of them is waited for without end: whatever is acknowledged is durable, and a new process adopts it.
        """
        over = time.monotonic() + self._rules.grace
        self._join(over)
        self._cut()
        self._join(max(over, time.monotonic()) + _LAST)
        if left := len(self._connections):
            log.warning("associations-left", count=left)

    def _join(self, deadline: float) -> None:
        for thread in list(self._connections):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _cut(self) -> None:
        for connection in list(self._connections.values()):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket, tls: TlsPort | None) -> None:
        while True:
            try:
                connection, peer = listening.accept()
            except OSError as error:
                if listening.fileno() < 0:
                    return
                if error.errno not in _OF_THE_PEER:
                    log.warning("connection-not-accepted", code=errno.errorcode.get(error.errno or 0, "none").lower())
                    time.sleep(_PAUSE)
                continue
            self._admit(connection, peer[0], tls)

    def _admit(self, connection: socket.socket, address: str, tls: TlsPort | None) -> None:
        """Serve, turn away with a reason, or close at once when even turning away is too much."""
        for guests, refused in ((self._served, False), (self._turned_away, True)):
            place = guests.enter(address, connection)
            if place is not None:
                thread = threading.Thread(
                    target=self._attend, args=(connection, place, refused, tls), name="dicom", daemon=True
                )
                self._connections[thread] = connection
                try:
                    thread.start()
                    return
                except RuntimeError:  # the system gives us no more threads
                    log.warning("connection-not-accepted", code="no-thread")
                    del self._connections[thread]
                    place.leave()
                    break
        connection.close()

    def _attend(self, connection: socket.socket, place: Place, refused: bool, tls: TlsPort | None) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                connection = secured = self._connections[threading.current_thread()] = tls.take(connection)
                place.secured(secured)
                # OpenSSL is asked again and again until the deadline, which is that of the handshake and not of a read.
                secured.do_handshake()
            association = self._attended(connection, place.address, self._association_rules, self._reception)
            association.greeted = place.greeted
            if refused:
                association.refuse(LOCAL_LIMIT_EXCEEDED)
            else:
                association.serve()
        except OSError as error:
            # The handshake failed, or the peer was gone before it began.
            metrics().count("causeway_associations_total", outcome="no-handshake" if tls else "lost")
            log.warning("connection-failed", error=type(error).__name__, code=_code(error))
        finally:
            # In this order: what was closed must not be cut.
            place.leave()
            connection.close()
            self._connections.pop(threading.current_thread(), None)
