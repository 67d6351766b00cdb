"""Requests go to the bus and reports to the peers, again and again until each has arrived."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from contracts.events import CommitmentDecided, CommitmentRequested
from services.dicom_ingest.domain.commitment import delay, settles
from services.dicom_ingest.handlers.commitment import Commitment
from services.dicom_ingest.ports import Publisher
from services.dicom_ingest.ports.commitment import NotReported, Reach
from shared.errors import RetryLater
from shared.messaging.threads import in_thread
from shared.observability import logger, metrics

log = logger("dicom_ingest.commitment")

#: How long what was reported is kept for a peer that asks again, seconds.
_KEPT = 7 * 86_400.0


@dataclass(frozen=True)
class ReportRules:
    """Seconds: how often it is looked for what another process has written, how long a decision is left to the process
    that holds the association, and the pauses between attempts."""

    look_every: float = 1.0
    leave_to_others: float = 1.0
    first_delay: float = 2.0
    longest_delay: float = 900.0


class CommitmentReports:
    """One peer that is away holds up no other: it is told one report at a time, on one of ``at_a_time`` threads.

    As many peers that are away hold up other reports for as long as an attempt lasts, and nothing else.
    """

    def __init__(
        self,
        *,
        commitment: Commitment,
        bus: Publisher,
        reach: Reach,
        rules: ReportRules = ReportRules(),
        at_a_time: int = 8,
    ) -> None:
        self._commitment = commitment
        self._requests = commitment.requests
        self._bus = bus
        self._site_key = commitment.site_key
        self._reach = reach
        self._rules = rules
        self._at_a_time = at_a_time
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._attempts: dict[str, tuple[int, float]] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        self._commitment.attend()
        threads = ThreadPoolExecutor(self._at_a_time, "commitment-report")
        try:
            await self._run(threads)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, threads: ThreadPoolExecutor) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self._commitment.news.clear()
                await self._tell_bus()
                for name in await in_thread(self._requests.decided):
                    if name not in self._running and self._attempts.get(name, (0, 0.0))[1] <= time.monotonic():
                        self._running[name] = group.create_task(self._report(name, threads))
                await in_thread(self._requests.forget, _KEPT)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._rules.look_every):
                        await self._commitment.news.wait()

    async def _tell_bus(self) -> None:
        try:
            for request, traceparent in await in_thread(self._requests.asked):
                # A request that is made again is another event: the bus passes over what has the id of one it knows.
                parts = request.commitment_id, request.requested.isoformat()
                event_id = self._site_key.event_id(CommitmentRequested.subject, *parts)
                await self._bus.publish(request, id=event_id, traceparent=traceparent)
                await in_thread(self._requests.told, request.commitment_id)
        except RetryLater as error:
            log.warning("commitment-waits", reason=error.reason)

    async def _report(self, name: str, threads: ThreadPoolExecutor) -> None:
        try:
            peer = await in_thread(self._requests.peer_of, name)
            # Whoever waits or works holds it; when nobody does, it is gone.
            turn = self._turns.setdefault(peer, asyncio.Semaphore(1))
            async with turn:
                context = copy_context()
                await asyncio.get_running_loop().run_in_executor(threads, context.run, self._try, name)
        except Exception:
            log.exception("commitment-stuck")
            self._again(name, self._rules.longest_delay)
        finally:
            del self._running[name]

    def _try(self, name: str) -> None:
        with self._requests.hold(name) as decision:
            if decision is None:
                self._attempts.pop(name, None)
                return
            try:
                status = self._tell(decision)
            except NotReported as error:
                self._in_vain(decision, error)
                return
            if status is not None:
                self._requests.reported(name)
                self._attempts.pop(name, None)
                metrics().count("causeway_commitments_total", outcome="reported")
                log.info("commitment-reported", ref=name, dicom_status=status)

    def _tell(self, decision: CommitmentDecided) -> int | None:
        """The peer's answer, None while it is left to another process; NotReported."""
        line = self._commitment.line_of(decision.commitment_id)
        if line is not None:
            with suppress(NotReported):
                return _settled(line.report(decision))
        elif (datetime.now(UTC) - decision.decided).total_seconds() < self._rules.leave_to_others:
            self._again(decision.commitment_id, self._rules.leave_to_others)
            return None
        return _settled(self._reach.calls.report(decision, self._reach.callback(decision)))

    def _in_vain(self, decision: CommitmentDecided, error: NotReported) -> None:
        name = decision.commitment_id
        if (datetime.now(UTC) - decision.decided).total_seconds() > self._reach.give_up_after:
            self._requests.give_up(name)
            self._attempts.pop(name, None)
            metrics().count("causeway_commitments_total", outcome="undelivered")
            log.error("commitment-undelivered", ref=name, reason=error.reason)
            return
        attempt = self._attempts.get(name, (0, 0.0))[0] + 1
        pause = delay(attempt, self._rules.first_delay, self._rules.longest_delay)
        self._attempts[name] = attempt, time.monotonic() + pause
        log.warning("commitment-not-reported", ref=name, reason=error.reason, attempt=attempt, delay=pause)

    def _again(self, name: str, pause: float) -> None:
        self._attempts[name] = self._attempts.get(name, (0, 0.0))[0], time.monotonic() + pause


def _settled(status: int) -> int:
    if not settles(status):
        raise NotReported("peer-fails")
    return status
