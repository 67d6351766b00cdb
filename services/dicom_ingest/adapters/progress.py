"""Whether a peer that was let in gets on: what it has brought of a message, and how long it was waited for."""

import time
from collections.abc import Callable

#: Nothing at all for so long inside a message, or since one was finished, is a pause; seconds.
PAUSE = 3.0


class Progress:
    """Of one association, since it was let in or since its last message.

    Its own thread tells it, any other may ask. What we do with what came is no time of the peer's.
    """

    def __init__(self, least: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``least`` is the throughput below which a peer is slow, bytes per second."""
        self._least, self._clock = least, clock
        self._has_finished = False
        self._waited, self._brought = 0.0, 0
        self._since: float | None = None

    def wait(self) -> None:
        """The peer is waited for, if it was not already."""
        if self._since is None:
            self._since = self._clock()

    def bring(self, count: int) -> None:
        """So many bytes have come."""
        if not self._is_between():
            self._waited += self._pause()
        self._since = None
        self._brought += count

    def finish(self) -> None:
        """A message is over: what comes now is the next."""
        self._has_finished, self._waited, self._brought = True, 0.0, 0

    def is_slow(self) -> bool:
        """Whether it is slow inside a message, or has brought nothing yet.

        Before its first message is over a peer has to show from the start that it gets on; after that it may be slow
        for as long as a pause.
        """
        if self._is_between():
            return False
        pause = self._pause()
        waited = self._waited + pause
        if self._has_finished and waited < PAUSE:
            return False
        return pause >= PAUSE or self._brought <= self._least * waited

    def is_idle(self) -> bool:
        """Whether it has finished what it was at, and nothing more has come for a while."""
        return self._is_between() and self._pause() >= PAUSE

    def _is_between(self) -> bool:
        return self._has_finished and not self._brought

    def _pause(self) -> float:
        since = self._since
        return 0.0 if since is None else self._clock() - since
