"""What becomes of a message: one middleware settles each by the error that ended its handling (``shared.errors``).

==================  =========================================================================================
nothing, AlreadyDone  acknowledged, and the server's word awaited
RetryLater            delivered again after a delay that grows by attempt; without limit
Unprocessable         dead letter, then terminated
anything else         delivered again, ``attempts.FAILURES`` times in all, then dead letter
death of the process  delivered again, ``attempts.DEATHS`` times, then dead letter
==================  =========================================================================================

Each message is held by the heartbeat while it is in work. FastStream's own policy would terminate it on any error, and
its log would print the error's text.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

import nats.errors
from faststream import BaseMiddleware
from nats.aio.msg import Msg

from shared.errors import AlreadyDone, RetryLater, Unprocessable
from shared.messaging import deadletters
from shared.messaging.attempts import FAILURES, Attempts, StillRunning
from shared.messaging.bus import Bus, BusAway
from shared.messaging.heartbeat import Heartbeat
from shared.observability import logger, metrics

#: Seconds before the next delivery, by attempt; the last one holds for all that follow.
DELAYS = (0.25, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)

log = logger("causeway.messages")


def delay(attempt: int) -> float:
    """Seconds to wait after delivery number ``attempt`` (from 1)."""
    return DELAYS[min(attempt, len(DELAYS)) - 1]


def _about(message: Msg) -> dict[str, str]:
    """What finds a message again: in the log, in its stream, among the dead letters."""
    return {"consumer": message.metadata.consumer, "event_id": (message.headers or {}).get("ce-id", "none")}


class Settlement:
    """Settles the messages of one service."""

    def __init__(self, bus: Bus, heartbeat: Heartbeat) -> None:
        self.heartbeat = heartbeat
        self.attempts = Attempts(bus)
        self._bus = bus

    def middleware(self) -> Any:
        """The middleware for the broker."""

        def build(message: Msg, /, *, context: Any) -> Reliability:
            return Reliability(message, context=context, settlement=self)

        return build

    async def settle(self, message: Msg, error: BaseException | None) -> None:
        """Bring ``message`` to the end that ``error`` deserves; never raises for want of a bus."""
        try:
            await self._settle(message, error)
        except (BusAway, nats.errors.Error, OSError, TimeoutError) as lost:
            # It will be delivered again, and found already done where it was.
            log.warning("not-settled", **_about(message), error=type(lost).__name__)

    async def _settle(self, message: Msg, error: BaseException | None) -> None:
        if error is None or isinstance(error, AlreadyDone):
            await message.ack_sync(timeout=self._bus.publish_timeout)
            await self.attempts.settled(message)
            self._count(message, "again" if error else "done")
        elif isinstance(error, Unprocessable):
            await self._bury(message, error, error.reason)
        elif isinstance(error, StillRunning):
            await message.nak(delay=error.delay)
        elif isinstance(error, RetryLater):
            await self._postpone(message, error)
        elif isinstance(error, asyncio.CancelledError):
            await self.attempts.postponed(message)
            await message.nak()
        else:
            await self._fail(message, error)

    async def _bury(self, message: Msg, error: BaseException, reason: str) -> None:
        """Publish the dead letter of ``message``, then terminate it."""
        about = message.metadata
        if about.stream != deadletters.STREAM:
            # A dead letter that can't be handled stays where it is: a letter about it would be the next, for ever.
            subject = deadletters.subject_of(self._bus.service, about.consumer)
            header = deadletters.headers_of(message, self._bus.service, error, reason)
            await self._bus.publish_raw(deadletters.STREAM, subject, message.data, header)
        await message.term()
        await self.attempts.settled(message)
        self._count(message, "dead")
        metrics().count("causeway_deadletters_total", consumer=about.consumer, reason=reason)
        log.error("dead-letter", **_about(message), error=type(error).__name__, reason=reason)

    async def _postpone(self, message: Msg, error: RetryLater) -> None:
        deliveries = message.metadata.num_delivered
        wait = error.delay if error.delay is not None else delay(deliveries)
        log.info("postponed", **_about(message), reason=error.reason, deliveries=deliveries)
        await self.attempts.postponed(message)
        await message.nak(delay=wait)
        self._count(message, "retry")

    async def _fail(self, message: Msg, error: BaseException) -> None:
        log.error("handler-failed", **_about(message), exc_info=error)
        failures = await self.attempts.failed(message)
        if failures >= FAILURES:
            await self._bury(message, error, "unknown-error")
        else:
            await message.nak(delay=delay(failures))
            self._count(message, "retry")

    @staticmethod
    def _count(message: Msg, outcome: str) -> None:
        metrics().count("causeway_messages_total", consumer=message.metadata.consumer, outcome=outcome)


class Reliability(BaseMiddleware[Any, Msg]):
    """FastStream's hook for one message."""

    def __init__(self, message: Msg, /, *, context: Any, settlement: Settlement) -> None:
        super().__init__(message, context=context)
        self._settlement = settlement

    async def on_receive(self) -> None:
        """Hold the message from now on."""
        self._settlement.heartbeat.keep(self.msg.reply)

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> Any:
        """Let the handler run when the message may be tried (again)."""
        async with self._settlement.attempts.admitted(self.msg):
            with metrics().timed("causeway_handler_seconds", consumer=self.msg.metadata.consumer):
                return await call_next(msg)

    async def after_processed(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> bool:
        """Settle the message; what ended it is told here and nowhere else."""
        try:
            await self._settlement.settle(self.msg, exc_val)
        finally:
            self._settlement.heartbeat.release(self.msg.reply)
        return isinstance(exc_val, Exception)
