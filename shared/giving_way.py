"""Who gives way to a newcomer where all places are taken: whoever does not get on, never who does.

Everybody who opens connections and says nothing, or next to nothing, could otherwise hold every place.
"""

import time
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

#: Nothing at all for so long inside a message, or since one was finished, is a pause; seconds.
PAUSE = 3.0
#: What everybody gets to begin with, seconds.
MOMENT = 0.25
#: A sender with so many more places that do not get on than the newcomer's has gives way without that.
_FAR_MORE = 2

T = TypeVar("T")


class Progress:
    """Of one peer, since it was let in or since its last message.

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


def first_to_go(
    leaving: Iterable[T], newcomer: Hashable, *, sender: Callable[[T], Hashable], is_new: Callable[[T], bool]
) -> T | None:
    """Of those who may have to give way the first of the sender that has most of them; None if it is new.

    A sender of whom one does not get on gives way after those of whom many do not. ``newcomer`` is the sender of who
    comes; ``is_new`` tells whether somebody deserves another moment.
    """
    by_sender: dict[Hashable, list[T]] = {}
    for each in leaving:
        by_sender.setdefault(sender(each), []).append(each)
    if not by_sender:
        return None
    most = max(by_sender.values(), key=len)
    has_far_more = len(most) >= len(by_sender.get(newcomer, ())) + _FAR_MORE
    return most[0] if has_far_more or not is_new(most[0]) else None
