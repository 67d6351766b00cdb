"""What is known of the earlier deliveries of a message, across the death of the process.

The server counts deliveries, but not why there were several. A message that waits for a dead cloud is delivered again
and again and is innocent; a message that kills its process is delivered again and says nothing. So every *orderly* end
of a delivery that is not the last is recorded here (a key-value bucket on the bus): a delivery that nobody recorded
ended with the process.

Such a message is a *suspect*. Suspects of one process run one at a time and are recorded before they start, so that a
poisonous one is told from those that merely died with it. A suspect that says that it waits (standing.py), or still
runs after ``HANDOVER``, lets the next one start and is counted on a longer list: it waits more likely than it kills.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.kv import KeyValue

from shared.errors import RetryLater, Unprocessable
from shared.messaging.bus import Bus, BusAway
from shared.messaging.standing import GIVE_UP_TURN
from shared.observability import logger

#: The key-value bucket; the provisioner makes it.
BUCKET = "attempts"
BUCKET_TTL = 14 * 24 * 3600.0

FAILURES = 5
DEATHS = 5
LONG_DEATHS = 20
HANDOVER = 30.0
STILL_RUNNING_DELAY = 30.0

log = logger("causeway.bus")


class Poison(Unprocessable):
    """The process died each time it worked on this message."""


class StillRunning(RetryLater):
    """This process is at work on an earlier delivery of the message, or was, and a replay came into it."""


@dataclass(frozen=True)
class Record:
    """``explained``: deliveries that ended in order; ``failed``: those by an unknown error; the rest: suspect runs."""

    explained: int = 0
    failed: int = 0
    started: int = 0
    survived: int = 0


class Attempts:
    """The records of one service, and the turn-taking of its suspects."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._bucket: KeyValue | None = None
        self._turn = asyncio.Lock()
        self._running: dict[str, int] = {}
        self._replayed: set[str] = set()

    @asynccontextmanager
    async def admitted(self, message: Msg) -> AsyncIterator[None]:
        """The time of one attempt; StillRunning, Poison, or BusAway when it must not or can't be made now."""
        key, delivery = self.key(message), message.metadata.num_delivered
        if key in self._running:
            self._note_replay(key, delivery)
            raise StillRunning("still-running", STILL_RUNNING_DELAY)
        self._running[key] = delivery
        try:
            if delivery == 1:
                yield
            else:
                async with self._admitted_again(key, delivery):
                    yield
            if key in self._replayed:
                raise StillRunning("replayed", 0)
        finally:
            del self._running[key]
            self._replayed.discard(key)

    def _note_replay(self, key: str, delivery: int) -> None:
        """A reset consumer counts anew, and takes an acknowledgement of either delivery: ours would end the replay."""
        if delivery <= self._running[key]:
            self._replayed.add(key)

    async def failed(self, message: Msg) -> int:
        """Record an unknown error; how many that makes. ``FAILURES`` are enough."""
        record = await self.read(self.key(message))
        failed = record.failed + 1
        await self._write(self.key(message), Record(message.metadata.num_delivered, failed))
        return failed

    async def postponed(self, message: Msg) -> None:
        """Record that the delivery ended in order, to be made again."""
        record = await self.read(self.key(message)) if message.metadata.num_delivered > 1 else Record()
        await self._write(self.key(message), Record(message.metadata.num_delivered, record.failed))

    async def settled(self, message: Msg) -> None:
        """Forget the message: it will not be delivered again."""
        if message.metadata.num_delivered > 1:
            await self._forget(self.key(message))

    async def read(self, key: str) -> Record:
        """The record of ``key``, an empty one when there is none; BusAway."""
        try:
            entry = await (await self._open()).get(key)
        except nats.js.errors.NotFoundError:
            return Record()
        except (nats.errors.Error, OSError):
            raise BusAway("bus-away") from None
        return Record(**json.loads(entry.value or b"{}"))

    def key(self, message: Msg) -> str:
        """``<service>.<consumer>.<stream>.<sequence>``."""
        about = message.metadata
        return f"{self._bus.service}.{about.consumer}.{about.stream}.{about.sequence.stream}"

    @asynccontextmanager
    async def _admitted_again(self, key: str, deliveries: int) -> AsyncIterator[None]:
        record = await self.read(key)
        if deliveries - 1 <= record.explained:
            yield
            return
        await self._turn.acquire()
        turn = _Turn(self._turn)
        try:
            record = await self._start(key)
            handover = asyncio.create_task(self._hand_over(key, record, turn))
            token = GIVE_UP_TURN.set(partial(self._survive, key, record, turn))
            try:
                yield
            finally:
                GIVE_UP_TURN.reset(token)
                handover.cancel()
        finally:
            turn.end()

    async def _start(self, key: str) -> Record:
        record = await self.read(key)
        if record.started >= DEATHS or record.survived >= LONG_DEATHS:
            raise Poison("kills-its-process")
        record = replace(record, started=record.started + 1)
        await self._write(key, record)
        return record

    async def _hand_over(self, key: str, record: Record, turn: "_Turn") -> None:
        await asyncio.sleep(HANDOVER)
        await self._survive(key, record, turn)

    async def _survive(self, key: str, record: Record, turn: "_Turn") -> None:
        if turn.is_over:
            return
        with suppress(BusAway):
            await self._write(key, replace(record, started=record.started - 1, survived=record.survived + 1))
        turn.end()

    async def _write(self, key: str, record: Record) -> None:
        try:
            await (await self._open()).put(key, json.dumps(asdict(record)).encode())
        except (nats.errors.Error, OSError):
            raise BusAway("bus-away") from None

    async def _forget(self, key: str) -> None:
        try:
            await (await self._open()).purge(key)
        except (nats.errors.Error, OSError):
            # Left over, the record ends with the bucket's time to live.
            log.info("attempts-kept")

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            self._bucket = await self._bus.jetstream.key_value(BUCKET)
        return self._bucket


class _Turn:
    """The lock of the suspects, ended once by whoever comes first."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock: asyncio.Lock | None = lock

    @property
    def is_over(self) -> bool:
        return self._lock is None

    def end(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
