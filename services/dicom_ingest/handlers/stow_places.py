"""Who is heard of those that store over HTTP: so many at a time, and whoever does not get on gives way to the next."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from services.dicom_ingest.domain.stow import RequestRefused
from services.dicom_ingest.handlers.stow_body import Body
from shared.giving_way import MOMENT, first_to_go

#: For so long a request waits where all places are taken, seconds.
PATIENCE = 10.0


@dataclass(eq=False)
class _Place:
    """``sender`` is who holds the token, at his address; ``since`` is when he was let in, None while he waits."""

    sender: tuple[str, str]
    body: Body
    since: float | None = None
    let_in: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_new(self) -> bool:
        return self.since is not None and time.monotonic() - self.since < MOMENT


class StorePlaces:
    """Places on one event loop. A newcomer waits for one, those first who have fewest."""

    def __init__(self, most: int) -> None:
        self._most = most
        #: Both in the order in which they came.
        self._present: list[_Place] = []
        self._line: list[_Place] = []

    @asynccontextmanager
    async def taken(self, sender: tuple[str, str], body: Body) -> AsyncIterator[None]:
        """Hold a place; RequestRefused where there is none, nobody gives way and the client has waited long enough."""
        place = _Place(sender, body)
        self._line.append(place)
        try:
            await self._admission(place)
            yield
        finally:
            for among in (self._line, self._present):
                if place in among:
                    among.remove(place)
            self._let_in()

    async def _admission(self, place: _Place) -> None:
        over = time.monotonic() + PATIENCE
        self._let_in()
        while not place.let_in.is_set():
            if place.body.is_lost:
                raise RequestRefused("client-lost", 400)
            if time.monotonic() > over:
                raise RequestRefused("busy", 503)
            with suppress(TimeoutError):
                async with asyncio.timeout(MOMENT):
                    await place.let_in.wait()
            # Somebody may have become slow meanwhile.
            self._let_in()

    def _let_in(self) -> None:
        while waiting := [each for each in self._line if not each.body.is_lost]:
            held = Counter(each.sender for each in self._present)
            first = min(waiting, key=lambda each: held[each.sender])
            if not self._has_room(first.sender):
                return
            self._line.remove(first)
            self._present.append(first)
            first.since = time.monotonic()
            first.let_in.set()

    def _has_room(self, sender: tuple[str, str]) -> bool:
        if len(self._present) < self._most:
            return True
        slow = [each for each in self._present if each.body.progress.is_slow() or each.body.progress.is_idle()]
        leaving = first_to_go(slow, sender, sender=lambda each: each.sender, is_new=lambda each: each.is_new)
        if leaving is None:
            return False
        self._present.remove(leaving)
        leaving.body.give_way()
        return True
