"""A circuit breaker: while something is away its callers wait, and one of them asks when it is back."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from shared.errors import RetryLater
from shared.messaging.standing import stand_aside
from shared.observability import logger, metrics

log = logger("causeway.breaker")

T = TypeVar("T")


async def _nothing() -> None:
    """Nobody wants to hear of it."""


class Interrupted(RetryLater):
    """The service ends while the call waits; another process goes on with it at once."""

    def __init__(self) -> None:
        super().__init__("interrupted", delay=0)


class Breaker:
    """Guards ``target``. ``away`` is the error that says it is not there; any other passes to the caller.

    A call that meets ``away`` opens the circuit and waits; it is tried again, as often as it takes, when ``probe``
    succeeds. Only one caller asks at a time, after ``first`` seconds and then after pauses that double up to
    ``longest``; a call that succeeds resets them. A caller that is cancelled leaves the others as they were;
    ``interrupt`` ends the waiting of all.
    """

    def __init__(
        self,
        *,
        target: str,
        away: type[Exception],
        probe: Callable[[], Awaitable[object]],
        first: float = 1.0,
        longest: float = 60.0,
    ) -> None:
        self._target = target
        self._away = away
        self._probe = probe
        self._first = first
        self._longest = longest
        self._pause = first
        self._is_open = False
        self._asking = asyncio.Lock()
        self._interrupted = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether the dependency was away when last tried."""
        return self._is_open

    def interrupt(self) -> None:
        """Raise Interrupted in every call that waits, now or later, for a circuit to close."""
        self._interrupted.set()

    async def call(self, work: Callable[[], Awaitable[T]], *, on_open: Callable[[], Awaitable[None]] = _nothing) -> T:
        """The result of ``work``, however long the dependency is away; ``on_open`` is told once if it is."""
        told = False
        while True:
            if self._is_open and not told:
                told = True
                await on_open()
            await self._until_closed()
            try:
                result = await work()
            except self._away:
                self._tell(is_open=True)
            else:
                self._tell(is_open=False)
                self._pause = self._first
                return result

    async def _until_closed(self) -> None:
        if self._is_open:
            await stand_aside()
        async with self._asking:
            while self._is_open:
                await self._rest()
                await self._ask()

    async def _rest(self) -> None:
        # Jitter: many processes that lost the same target do not come back in one moment.
        pause = self._pause * random.uniform(0.75, 1.0)  # noqa: S311
        self._pause = min(2 * self._pause, self._longest)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._interrupted.wait()
            raise Interrupted

    async def _ask(self) -> None:
        try:
            await self._probe()
        except self._away:
            return
        self._tell(is_open=False)

    def _tell(self, *, is_open: bool) -> None:
        if is_open == self._is_open:
            return
        self._is_open = is_open
        metrics().set("causeway_circuit_open", is_open, target=self._target)
        log.warning("circuit-open" if is_open else "circuit-closed", target=self._target)
