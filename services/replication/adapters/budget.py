"""Memory for parts: bytes are given out in turn, and a target that is slow holds up no other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from shared.observability import logger
from shared.storage import MAX_BLOB

#: Seconds after which a part that is still being put makes its target a slow one (64 MiB at 4 MB/s).
SLOW_AFTER = 15.0

T = TypeVar("T")

log = logger("causeway.replication")


class Budget:
    """Bytes that one target may have in memory, given out in the order in which they are asked for."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._turn = asyncio.Lock()
        self._given_back = asyncio.Event()

    @contextlib.asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Hold ``size`` bytes; what is larger than the whole budget takes all of it."""
        share = min(size, self._size)
        async with self._turn:
            while self._free < share:
                self._given_back.clear()
                await self._given_back.wait()
            self._free -= share
        try:
            yield
        finally:
            self._free += share
            self._given_back.set()


@dataclass(eq=False)
class _Turn:
    """One part: what it holds (bytes), since when, and whether it holds it among the slow ones."""

    target: str
    size: int
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    since: float = 0.0
    slow: bool = False
    given_up: bool = False
    patience: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))


class SharedBudget:
    """Bytes that all targets together may have in memory.

    Targets that are slow share all but one part's worth of them: the rest is always there for those that are not. Who
    is slow shows only after ``slow_after`` seconds. When several become so at once and another target waits, the part
    that began last is given up, and begun again in its turn among the slow ones, where it may take as long as it takes.
    """

    def __init__(self, size: int, *, slow_after: float = SLOW_AFTER, reserve: int = MAX_BLOB) -> None:
        self._size = size
        self._for_slow = max(size - reserve, 0)
        self._slow_after = slow_after
        self._slow: set[str] = set()
        self._waiting: list[_Turn] = []
        self._holding: list[_Turn] = []

    async def spend(self, target: str, size: int, work: Callable[[], Awaitable[T]]) -> T:
        """What ``work`` gives, done while ``size`` bytes are held for it; it may be cancelled and begun again."""
        while True:
            turn = _Turn(target, min(size, self._size))
            try:
                async with self._held(turn), turn.patience:
                    return await work()
            except TimeoutError:
                if not turn.given_up:
                    raise
                log.info("part-given-up", target=target)

    @contextlib.asynccontextmanager
    async def _held(self, turn: _Turn) -> AsyncIterator[None]:
        self._waiting.append(turn)
        self._look()
        try:
            await turn.begun.wait()
            yield
            if not self._is_late(turn):
                self._slow.discard(turn.target)
        finally:
            for turns in (self._waiting, self._holding):
                with contextlib.suppress(ValueError):
                    turns.remove(turn)
            self._look()

    def _look(self) -> None:
        """Let in whom there is room for, in the order of their coming; a slow one that has to wait holds up nobody."""
        self._notice_slow()
        for turn in tuple(self._waiting):
            slow = turn.target in self._slow
            if slow and not self._has_room_for_slow(turn):
                continue
            if turn.size > self._size - sum(each.size for each in self._holding):
                self._give_up_one()
                return
            self._let_in(turn, slow)

    def _let_in(self, turn: _Turn, slow: bool) -> None:
        loop = asyncio.get_running_loop()
        self._waiting.remove(turn)
        self._holding.append(turn)
        turn.since, turn.slow = loop.time(), slow
        turn.begun.set()
        loop.call_later(self._slow_after, self._look)

    def _notice_slow(self) -> None:
        for turn in self._holding:
            if not turn.slow and self._is_late(turn):
                self._slow.add(turn.target)
                turn.slow = self._has_room_for_slow(turn)

    def _has_room_for_slow(self, turn: _Turn) -> bool:
        held = sum(each.size for each in self._holding if each.slow)
        return held == 0 or held + turn.size <= self._for_slow

    def _give_up_one(self) -> None:
        """Take back the bytes of the last that is late and not among the slow ones; one at a time."""
        late = [turn for turn in self._holding if not turn.slow and self._is_late(turn)]
        if late and not any(turn.given_up for turn in self._holding):
            late[-1].given_up = True
            late[-1].patience.reschedule(0.0)

    def _is_late(self, turn: _Turn) -> bool:
        # A timer may fire a moment early by the loop's own clock.
        return asyncio.get_running_loop().time() - turn.since >= self._slow_after * 0.99
