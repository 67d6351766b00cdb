"""Places for connections: as many as are let in, and who gives way to a newcomer.

uvicorn's own limit counts connections only when a request is there, and then refuses whoever asks: with so many that
say nothing it would refuse everybody, probes too, until there are no handles left.
"""

from shared.giving_way import first_to_go
from shared.http.patience import PromptProtocol
from shared.observability import logger, metrics

#: Let in beyond those that may be at work: probes find room here, and newcomers until they have asked.
RESERVE = 64

log = logger("causeway.http")


class Places:
    """Who is here, in the order in which they came. All of it on the server's loop."""

    def __init__(self, most: int) -> None:
        """``most`` requests may be at work at a time."""
        self._most = most
        self._present: list[PromptProtocol] = []

    def enter(self, newcomer: PromptProtocol) -> bool:
        """Whether there is room, or somebody has made it: then the newcomer is in."""
        if self._is_full():
            self._present = [each for each in self._present if not each.is_over]
        if self._is_full() and not self._make_room(newcomer.address):
            return False
        self._present.append(newcomer)
        return True

    def is_crowded(self) -> bool:
        """Whether too many requests are at work: those whose clients do not get on do not count."""
        if len(self._present) <= self._most:
            return False
        return sum(not each.is_over and not each.is_idle and not each.is_waited_for() for each in self._present) > (
            self._most
        )

    def _is_full(self) -> bool:
        return len(self._present) >= self._most + RESERVE

    def _make_room(self, address: str) -> bool:
        among = self._waited_for()
        while (leaving := first_to_go(among, address, sender=_address, is_new=_is_new)) is not None:
            if not leaving.has_said_more():
                self._cut(leaving)
                return True
            among.remove(leaving)
        return False

    def _waited_for(self) -> list[PromptProtocol]:
        """Who never brought a request, else whoever has none in work, else those who do not get on; oldest first."""
        silent = [each for each in self._present if not each.has_asked]
        if silent:
            return silent
        slow = [each for each in self._present if each.is_waited_for()]
        return sorted([each for each in slow if each.is_idle] or slow, key=lambda each: each.since)

    def _cut(self, leaving: PromptProtocol) -> None:
        self._present.remove(leaving)
        metrics().count("causeway_http_gave_way_total")
        if not leaving.is_idle:
            log.warning("request-gave-way")
        leaving.give_way()


def _address(guest: PromptProtocol) -> str:
    return guest.address


def _is_new(guest: PromptProtocol) -> bool:
    return guest.is_new
