"""How many connections there are, all of them and by address; those that keep silent give way to newcomers.

Whoever connects and does not say who it is could otherwise hold every place for as long as a greeting may take.
"""

import contextlib
import socket
import threading
from collections import Counter
from dataclasses import dataclass


@dataclass(eq=False)
class Place:
    """One connection's share of the limits; ``connection`` is what is cut when it has to give way."""

    guests: "Guests"
    address: str
    connection: socket.socket

    def secured(self, connection: socket.socket) -> None:
        """TLS has taken the connection over, and goes by ``connection`` from now on."""
        self.guests.exchange(self, connection)

    def greeted(self) -> None:
        """The peer has said who it is: it need not give way any more."""
        self.guests.keep(self)

    def leave(self) -> None:
        """The connection is over."""
        self.guests.leave(self)


class Guests:
    """Counts connections. Every method may be called from any thread."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most, self._most_per_address = most, most_per_address
        self._present: Counter[str] = Counter()
        #: By address, in the order in which they came.
        self._strangers: dict[str, list[Place]] = {}
        self._places: set[Place] = set()
        self._lock = threading.Lock()

    def enter(self, address: str, connection: socket.socket) -> Place | None:
        """A place, which must be left; None when there is none and nobody gives way."""
        with self._lock:
            silent = self._giving_way(address)
            if silent is not None:
                self._remove(silent)
            if self._is_full(address):
                return None
            place = Place(self, address, connection)
            self._places.add(place)
            self._present[address] += 1
            self._strangers.setdefault(address, []).append(place)
            if silent is not None:
                cut(silent.connection)
        return place

    def exchange(self, place: Place, connection: socket.socket) -> None:
        """The place has this connection now; if it was given to another meanwhile, it ends."""
        with self._lock:
            place.connection = connection
            if place not in self._places:
                cut(connection)

    def keep(self, place: Place) -> None:
        """It does not give way any more."""
        with self._lock:
            self._forget_stranger(place)

    def leave(self, place: Place) -> None:
        """The place is free, if it was not given to another already."""
        with self._lock:
            if place in self._places:
                self._remove(place)

    def _is_full(self, address: str) -> bool:
        return len(self._places) >= self._most or self._present.get(address, 0) >= self._most_per_address

    def _giving_way(self, address: str) -> Place | None:
        """Of the strangers the one that goes first where there is no room: where its address is full, one of there."""
        if not self._is_full(address):
            return None
        if self._present.get(address, 0) < self._most_per_address:
            # An address of which one connection is silent gives way after those of which many are.
            address = max(self._strangers, key=lambda each: len(self._strangers[each]), default=address)
        return next(iter(self._strangers.get(address, ())), None)

    def _remove(self, place: Place) -> None:
        self._forget_stranger(place)
        self._places.discard(place)
        self._present[place.address] -= 1
        if not self._present[place.address]:
            del self._present[place.address]

    def _forget_stranger(self, place: Place) -> None:
        strangers = self._strangers.get(place.address, [])
        if place in strangers:
            strangers.remove(place)
        if not strangers:
            self._strangers.pop(place.address, None)


def cut(connection: socket.socket) -> None:
    """Reading ends, so that its thread says goodbye and goes, from a handshake too."""
    with contextlib.suppress(OSError):
        # Not the method of an SSLSocket: that one forgets its keys, and the goodbye would be sent in the clear.
        socket.socket.shutdown(connection, socket.SHUT_RD)
