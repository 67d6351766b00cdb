"""The outbox: what a service will publish, in the transaction of the effect that it tells of.

A relay sends each row until the stream has it, then deletes it. Several replicas may relay: a row is claimed for a
while before it is sent, and a claim that its holder did not live to keep ends by itself. What is sent twice has the
same id.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    delete,
    event,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from shared.errors import RetryLater, Unprocessable
from shared.messaging.bus import Bus, Letter, letter
from shared.observability import logger

CLAIM = 30.0
BATCH = 32
#: When a wake-up finds nothing yet (its transaction commits this very moment): the pauses before it looks again.
LOOKS = (0.0, 0.002, 0.01, 0.05, 0.2)
#: How long a row may wait that nobody announced: of a replica that died, or with a lapsed claim.
LOOK_EVERY = 5.0
PAUSE = 0.5
#: How long the end of a relay waits for the database.
SETTLED_WITHIN = 5.0

T = TypeVar("T")

log = logger("causeway.outbox")


class Transactions(Protocol):
    """What the relay needs of a database (``shared.sql.Database``)."""

    async def run(self, work: Callable[[Connection], T]) -> T:
        """``work`` in one transaction."""


def outbox_table(metadata: MetaData) -> Table:
    """The table ``outbox``; a migration makes it with ``outbox_table(MetaData()).create(connection)``."""
    return Table(
        "outbox",
        metadata,
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("id", String(64), nullable=False, unique=True),
        Column("stream", String(64), nullable=False),
        Column("subject", String(128), nullable=False),
        Column("time", DateTime(timezone=True), nullable=False),
        Column("traceparent", String(64)),
        Column("links", Text, nullable=False),
        Column("data", Text, nullable=False),
        Column("claimed_until", Float, nullable=False, default=0.0),
        Column("refused", String(64)),
    )


class Outbox:
    """The outbox in ``table`` of ``database``, sent over ``bus``.

    Seconds: a row is claimed for ``claim``; one that nobody announced is found within ``look_every``.
    """

    def __init__(
        self,
        table: Table,
        database: Transactions,
        bus: Bus,
        *,
        claim: float = CLAIM,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self._table = table
        self._inserts = {
            "sqlite": sqlite_insert(table).on_conflict_do_nothing(index_elements=["id"]),
            "postgresql": postgres_insert(table).on_conflict_do_nothing(index_elements=["id"]),
        }
        self._claim_for = claim
        self._look_every = look_every
        self._database = database
        self._bus = bus
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    def add(
        self,
        connection: Connection,
        told: BaseModel,
        *,
        id: str,  # noqa: A002
        links: Iterable[str] = (),
        traceparent: str | None = None,
    ) -> None:
        """Write ``told`` (a contracts event), to be published when the transaction of ``connection`` commits.

        It belongs to the current trace, or to that of ``traceparent``. A row that waits with the same id stays.
        """
        sent = letter(told, id=id, links=links, traceparent=traceparent)
        connection.execute(self._inserts[connection.dialect.name], _row(sent))
        event.listen(connection, "commit", self._announce, once=True)

    async def relay(self) -> None:
        """Send what waits, for as long as the service lives: a Task."""
        self._loop = asyncio.get_running_loop()
        is_first = True
        while True:
            looks = LOOKS if self._woken.is_set() else LOOKS[:1]
            self._woken.clear()
            with suppress(RetryLater):
                if is_first:
                    await self._database.run(self._free)
                    is_first = False
                await self._drain(looks)
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with what it waits for.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_every):
                    await self._woken.wait()

    async def waiting(self) -> int:
        """How many rows wait."""
        count = select(func.count()).select_from(self._table).where(self._table.c.refused.is_(None))
        return await self._database.run(lambda connection: int(connection.execute(count).scalar_one()))

    def _announce(self, connection: Connection) -> None:
        """The commit is about to happen, on a worker thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the next process will look
                self._loop.call_soon_threadsafe(self._woken.set)

    async def _drain(self, looks: Iterable[float]) -> None:
        for pause in looks:
            await asyncio.sleep(pause)
            if await self._send_some():
                break
        while await self._send_some():
            pass

    async def _send_some(self) -> bool:
        await self._bus.until_connected()
        # A claim whose transaction was begun is known to the end: whoever cancels this does not cancel that.
        claiming = asyncio.create_task(self._database.run(self._claim))
        sent: list[int] = []
        try:
            rows = await asyncio.shield(claiming)
            for row in rows:
                if await self._send(row):
                    sent.append(row.number)
            await self._forget(sent)
        except RetryLater:
            await self._settle(claiming, sent)
            await asyncio.sleep(PAUSE)
            return True
        except BaseException:
            await self._settle_soon(claiming, sent)
            raise
        return bool(rows)

    async def _settle(self, claiming: "asyncio.Task[Sequence[Row[Any]]]", sent: list[int]) -> None:
        """Forget what was sent, and claim the rest no longer."""
        rows = await claiming
        await self._forget(sent)
        await self._release([left.number for left in rows if left.number not in sent])

    async def _settle_soon(self, claiming: "asyncio.Task[Sequence[Row[Any]]]", sent: list[int]) -> None:
        """The same at the end of the relay, which does not wait long for it: what stays claimed is free in a while."""
        settling = asyncio.gather(self._settle(claiming, sent), return_exceptions=True)
        await asyncio.wait([settling], timeout=SETTLED_WITHIN)

    async def _send(self, row: Row[Any]) -> bool:
        """Whether the stream has it; what it refuses is kept."""
        try:
            await self._bus.send(_letter(row))
        except Unprocessable as refusal:
            log.error("outbox-refused", subject=row.subject, reason=refusal.reason)
            await self._mark(row.number, refusal.reason)
            return False
        return True

    async def _forget(self, numbers: list[int]) -> None:
        """One transaction for all that were sent together; those of a process that dies before it are sent again."""
        if numbers:
            gone = delete(self._table).where(self._table.c.number.in_(numbers))
            await self._database.run(lambda connection: connection.execute(gone))

    def _claim(self, connection: Connection) -> Sequence[Row[Any]]:
        table, now = self._table, time.time()
        free = (
            select(table)
            .where((table.c.claimed_until < now) & table.c.refused.is_(None))
            .order_by(table.c.number)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        rows = connection.execute(free).all()
        if rows:
            claimed = table.c.number.in_([row.number for row in rows])
            connection.execute(update(table).where(claimed).values(claimed_until=now + self._claim_for))
        return rows

    def _free(self, connection: Connection) -> None:
        """One process has a SQLite database alone: what is claimed there is of one that ended."""
        if connection.dialect.name == "sqlite":
            claimed = update(self._table).where(self._table.c.claimed_until > 0)
            connection.execute(claimed.values(claimed_until=0.0))

    async def _release(self, numbers: list[int]) -> None:
        freed = update(self._table).where(self._table.c.number.in_(numbers)).values(claimed_until=0.0)
        await self._database.run(lambda connection: connection.execute(freed))

    async def _mark(self, number: int, reason: str) -> None:
        marked = update(self._table).where(self._table.c.number == number).values(refused=reason)
        await self._database.run(lambda connection: connection.execute(marked))


def _row(sent: Letter) -> dict[str, Any]:
    return {
        "id": sent.id,
        "stream": sent.stream,
        "subject": sent.subject,
        "time": sent.time,
        "traceparent": sent.traceparent,
        "links": json.dumps(sent.links),
        "data": json.dumps(sent.data),
        "claimed_until": 0.0,
    }


def _letter(row: Row[Any]) -> Letter:
    return Letter(
        id=row.id,
        subject=row.subject,
        stream=row.stream,
        data=json.loads(row.data),
        # SQLite keeps no time zone: what was written was UTC.
        time=row.time if row.time.tzinfo else row.time.replace(tzinfo=UTC),
        traceparent=row.traceparent,
        links=tuple(json.loads(row.links)),
    )
