"""Sends what waits for one receiver: one message at a time, in order, until it is taken or a person must look at it."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from services.hl7_fhir.domain.outgoing.answers import Verdict
from services.hl7_fhir.domain.outgoing.receivers import Ahead, Held, Receiver, Waiting
from services.hl7_fhir.handlers.line import Line, Link
from services.hl7_fhir.handlers.reporting import Report
from shared.errors import RetryLater

#: When a wake-up finds nothing yet (its transaction commits this very moment): the pauses before it looks again.
_LOOKS = (0.002, 0.01, 0.05, 0.2)


class Courier:
    """The courier of one receiver; what other processes queued or decided is seen after ``look_every`` seconds."""

    def __init__(
        self,
        receiver: Receiver,
        line: Line,
        link: Link,
        *,
        look_every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receiver = receiver
        self._line = line
        self._link = link
        self._report = Report(receiver.name)
        self._look_every = look_every
        self._clock = clock
        self._held_until = float("-inf")
        self._pause = receiver.first
        self._refusals = (0, 0)
        self._ending = False
        self._is_eager = False
        self._woken = asyncio.Event()
        self._hurried = asyncio.Event()

    def wake(self, *, hurry: bool = False) -> None:
        """Something was queued; or a person decided something, which ends the pause after a failure (``hurry``)."""
        self._is_eager = True
        self._woken.set()
        if hurry:
            self._hurried.set()

    def end(self) -> None:
        """Stop after the message that is under way."""
        self._ending = True
        self.wake(hurry=True)

    async def run(self) -> None:
        """Send for as long as the receiver is named; returns after ``end``."""
        try:
            while not self._ending:
                await self._turn()
        finally:
            await self._link.leave()
            with suppress(RetryLater):
                await self._line.leave()

    async def _turn(self) -> None:
        try:
            ahead = await self._look() if await self._claimed() else Ahead(None, ())
            if ahead.held is None:
                await self._stand_by()
            elif self._is_held(ahead.held):
                await self._link.close()
                await self._idle()
            elif ahead.messages:
                await self._send(ahead.messages)
            else:
                await self._idle()
        except RetryLater as trouble:
            self._report.unavailable(trouble.reason)
            await self._rest()

    async def _claimed(self) -> bool:
        """Whether the queue is ours for long enough to send something."""
        asked = self._clock()
        if asked + self._receiver.needed <= self._held_until:
            return True
        held = await self._line.claim()
        self._held_until = asked + self._receiver.lease if held else float("-inf")
        return held is not None

    async def _look(self) -> Ahead:
        """What waits. After a wake-up it is looked for more than once."""
        pauses = _LOOKS if self._is_eager else ()
        self._is_eager = False
        ahead = await self._line.ahead()
        for pause in pauses:
            if ahead.messages or ahead.held is None or self._is_held(ahead.held) or self._ending:
                break
            await asyncio.sleep(pause)
            ahead = await self._line.ahead()
        return ahead

    async def _send(self, waiting: tuple[Waiting, ...]) -> None:
        for one in waiting:
            if self._ending or self._clock() + self._receiver.needed > self._held_until:
                return
            asked = self._clock()
            held = await self._settled(one)
            if held is None or self._is_held(held):
                return
            self._held_until = asked + self._receiver.lease

    async def _settled(self, one: Waiting) -> Held | None:
        """Send a message and note what became of it; None when the queue is to be looked at anew."""
        if one.content is None:
            return await self._set_aside(one, "content-missing")
        if one.unchecked and not await self._line.fits(one):
            return await self._set_aside(one, "profile-violation")
        try:
            verdict = (await self._link.exchange(one.content)).verdict
        except RetryLater as trouble:
            return await self._again(one, trouble.reason)
        if verdict is Verdict.DONE:
            return await self._done(one)
        if verdict is Verdict.AGAIN:
            return await self._again(one, "answered-ar")
        return await self._refused(one)

    async def _done(self, one: Waiting) -> Held | None:
        self._pause = self._receiver.first
        self._report.away(None)
        self._report.count("delivered")
        return await self._noted(lambda: self._line.done(one))

    async def _refused(self, one: Waiting) -> Held | None:
        number, before = self._refusals
        self._refusals = (one.number, before + 1 if number == one.number else 1)
        if self._refusals[1] >= self._receiver.tries:
            self._report.away(None)
            return await self._set_aside(one, "answered-ae")
        return await self._again(one, "answered-ae")

    async def _set_aside(self, one: Waiting, reason: str) -> Held | None:
        self._report.set_aside(one.kind, one.ref, reason)
        return await self._noted(lambda: self._line.set_aside(one, reason))

    async def _again(self, one: Waiting, reason: str) -> Held | None:
        """Nothing else is sent before it: None, so that the queue is looked at anew."""
        self._report.away(reason)
        self._report.count("again")
        with suppress(RetryLater):
            await self._line.again(one, reason)
        await self._rest()
        return None

    async def _noted(self, note: Callable[[], Awaitable[Held | None]]) -> Held | None:
        """The answer is here: whatever ails the database, it is noted before anything else is sent."""
        while True:
            try:
                return await note()
            except RetryLater as trouble:
                self._report.unavailable(trouble.reason)
                if self._ending:
                    return None
                await self._rest()

    def _is_held(self, held: Held) -> bool:
        return self._receiver.held if held.by_operator is None else held.by_operator

    async def _idle(self) -> None:
        """Until something is queued or decided here, or another process may have done so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._look_every):
                await self._woken.wait()
        self._woken.clear()

    async def _stand_by(self) -> None:
        """Another process sends: what is queued here is nothing to us until that one is gone."""
        self._held_until = float("-inf")
        await self._link.close()
        await self._pausing(self._look_every)

    async def _rest(self) -> None:
        """The pause after a failure: it doubles, and many couriers do not come back in one moment."""
        pause = self._pause * random.uniform(0.75, 1.0)  # noqa: S311
        self._pause = min(2 * self._pause, self._receiver.longest)
        await self._pausing(pause)

    async def _pausing(self, seconds: float) -> None:
        """Until the time is over, a person decides something, or the courier is to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurried.wait()
        if not self._ending:
            self._hurried.clear()
