"""What the connections of an MLLP server share."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from services.hl7_fhir.domain.intake.senders import Origin

#: What is answered to a message, frame by frame.
Answer = Callable[[bytes, Origin], Awaitable[tuple[bytes, ...]]]


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds. ``idle`` is how long a connection may say nothing between messages."""

    frame: int = 10 * 1024 * 1024
    between: int = 1024
    large: int = 256 * 1024
    large_at_once: int = 2
    connections: int = 256
    idle: float = 3600.0
    message: float = 60.0
    answer: float = 30.0
    farewell: float = 5.0


class Guest(Protocol):
    """A connection."""

    def place_is_free(self) -> None:
        """There is a place for the large frame that waits."""

    def close_unless_busy(self) -> bool:
        """Whether it could be closed because no message is being answered."""

    def abort(self) -> None:
        """End it now."""


@dataclass
class Hall:
    """What all connections share: who answers, the limits, and the places for large frames."""

    answer: Answer
    refuse: Answer
    limits: Limits
    present: set["Guest"] = field(default_factory=set)
    _large: int = 0
    _queue: deque["Guest"] = field(default_factory=deque)

    def take_place(self, guest: "Guest") -> bool:
        """Whether there is a place for a large frame; if not, ``guest`` goes on when one is free."""
        if self._large < self.limits.large_at_once:
            self._large += 1
            return True
        self._queue.append(guest)
        return False

    def leave_place(self) -> None:
        """A large frame is done with: the next one in the queue has its place."""
        while self._queue:
            guest = self._queue.popleft()
            if guest in self.present:
                guest.place_is_free()
                return
        self._large -= 1

    def leave(self, guest: "Guest") -> None:
        """A connection is over."""
        self.present.discard(guest)
