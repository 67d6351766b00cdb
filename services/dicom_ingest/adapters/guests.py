"""How many connections there are, all of them and by address, and who gives way to newcomers when there is no room.

Whoever connects and does not say who it is, or says it and sends nothing, could otherwise hold every place.
"""

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from shared.giving_way import MOMENT, Progress, first_to_go


@dataclass(eq=False)
class Place:
    """One connection's share of the limits; ``connection`` is what is cut when it has to give way.

    ``progress`` is None until the peer has said who it is; ``since`` is when that was or, before, when it connected,
    in seconds of the monotonic clock. ``is_registered``: the registry knows the peer.
    """

    guests: "Guests"
    address: str
    connection: socket.socket
    since: float
    progress: Progress | None = field(default=None, repr=False)
    is_registered: bool = False

    def secured(self, connection: socket.socket) -> None:
        """TLS has taken the connection over, and goes by ``connection`` from now on."""
        self.guests.exchange(self, connection)

    def greeted(self, progress: Progress, is_registered: bool) -> None:
        """The peer has said who it is: it need not give way any more while it gets on."""
        self.guests.keep(self, progress, is_registered)

    def leave(self) -> None:
        """The connection is over."""
        self.guests.leave(self)

    def gives_way(self, *, to_expected: bool) -> bool:
        """Whether it may have to, to one that calls from an address of the registry or from any."""
        if self.progress is None:
            return True
        if self.is_registered and not to_expected:
            return False
        return self.progress.is_slow() or (to_expected and not self.is_registered and self.progress.is_idle())


class Guests:
    """Counts connections. Every method may be called from any thread."""

    def __init__(
        self,
        most: int,
        most_per_address: int,
        expects: Callable[[str], bool] = lambda _address: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``expects`` tells whether the registry has a peer at an address."""
        self._most, self._most_per_address = most, most_per_address
        self._expects, self._clock = expects, clock
        self._present: Counter[str] = Counter()
        #: In the order in which they came.
        self._places: dict[Place, None] = {}
        self._lock = threading.Lock()

    def enter(self, address: str, connection: socket.socket) -> Place | None:
        """A place, which must be left; None when there is none and nobody gives way."""
        with self._lock:
            if self._is_full(address):
                leaving = self._giving_way(address)
                if leaving is None:
                    return None
                self._remove(leaving)
                cut(leaving.connection)
            place = Place(self, address, connection, self._clock())
            self._places[place] = None
            self._present[address] += 1
        return place

    def exchange(self, place: Place, connection: socket.socket) -> None:
        """The place has this connection now; if it was given to another meanwhile, it ends."""
        with self._lock:
            place.connection = connection
            if place not in self._places:
                cut(connection)

    def keep(self, place: Place, progress: Progress, is_registered: bool) -> None:
        """It gives way only while it does not get on."""
        with self._lock:
            place.progress, place.is_registered, place.since = progress, is_registered, self._clock()

    def leave(self, place: Place) -> None:
        """The place is free, if it was not given to another already."""
        with self._lock:
            if place in self._places:
                self._remove(place)

    def _is_full(self, address: str) -> bool:
        return len(self._places) >= self._most or self._is_full_for(address)

    def _is_full_for(self, address: str) -> bool:
        return self._present.get(address, 0) >= self._most_per_address

    def _giving_way(self, address: str) -> Place | None:
        """Who goes first: where the newcomer's address is full, one of there; the registry's after all others."""
        expected = self._expects(address)
        among = [each for each in self._places if each.address == address or not self._is_full_for(address)]
        leaving = [each for each in among if each.gives_way(to_expected=expected)]
        unknown = [each for each in leaving if not each.is_registered]
        return self._first(unknown, address) or self._first([each for each in leaving if each.is_registered], address)

    def _first(self, leaving: Iterable[Place], newcomer: str) -> Place | None:
        """The oldest of the address that has most of them; None if it deserves another moment."""
        return first_to_go(leaving, newcomer, sender=lambda each: each.address, is_new=self._is_new)

    def _is_new(self, place: Place) -> bool:
        return place.progress is not None and self._clock() - place.since < MOMENT

    def _remove(self, place: Place) -> None:
        del self._places[place]
        self._present[place.address] -= 1
        if not self._present[place.address]:
            del self._present[place.address]


def cut(connection: socket.socket) -> None:
    """Reading ends, so that its thread says goodbye and goes, from a handshake too."""
    with contextlib.suppress(OSError):
        # Not the method of an SSLSocket: that one forgets its keys, and the goodbye would be sent in the clear.
        socket.socket.shutdown(connection, socket.SHUT_RD)
