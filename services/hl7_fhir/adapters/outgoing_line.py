"""The queue of one receiver as its sender sees it; one process at a time holds it, on the database's clock."""

import secrets
import time
from typing import Any

from sqlalchemy import Connection, Float, Row, Update, delete, func, select, update
from sqlalchemy.exc import NoResultFound
from sqlalchemy.sql import ColumnElement

from services.hl7_fhir.adapters.outgoing import ASIDE, PASSED, WAITS, Content, upsert_of
from services.hl7_fhir.adapters.outgoing_tables import outgoing, receivers
from services.hl7_fhir.adapters.profile import fits_own_profile
from services.hl7_fhir.domain.outgoing.receivers import Ahead, Held, Receiver, Waiting
from shared.errors import Unprocessable
from shared.messaging.threads import in_thread
from shared.sql import Database

#: What is read at once: so many messages, and no more once they are so large together.
_MOST, _LARGEST = 64, 1024 * 1024
#: The receiver answers.
_HERE: dict[str, Any] = {"away": None, "away_since": None}


class Lines:
    """Makes the lines of one process. A process that has an SQLite database has it alone, and so its lines, at once."""

    def __init__(self, database: Database, content: Content) -> None:
        self._database = database
        self._content = content
        self._holder = "sqlite" if database.is_sqlite else secrets.token_hex(8)

    def of(self, receiver: Receiver) -> "Line":
        """The line of ``receiver``."""
        return Line(self._database, self._content, name=receiver.name, holder=self._holder, seconds=receiver.lease)


class Line:
    """The queue of the receiver ``name``, held as ``holder`` for ``seconds`` at a time."""

    def __init__(self, database: Database, content: Content, *, name: str, holder: str, seconds: float) -> None:
        self._database = database
        self._content = content
        self._name = name
        self._holder = holder
        self._seconds = seconds

    async def claim(self) -> Held | None:
        """Take the queue, or hold it longer; None while another process has it."""
        return await self._database.run(self._claim)

    async def leave(self) -> None:
        """Let another process have the queue."""
        await self._database.run(lambda connection: connection.execute(self._mine().values(expires=0.0)))

    async def ahead(self) -> Ahead:
        """The next messages in their order, none when nothing waits."""
        return await self._database.read(self._ahead)

    async def fits(self, waiting: Waiting) -> bool:
        """Whether a message of our own fits its profile."""
        return await in_thread(fits_own_profile, waiting.content or b"")

    async def done(self, waiting: Waiting) -> Held | None:
        """The receiver has it; the queue is held longer, None when another process has it."""
        return await self._database.run(lambda connection: self._done(connection, waiting))

    async def set_aside(self, waiting: Waiting, reason: str) -> Held | None:
        """A person decides about it; the queue is held longer, None when another process has it."""
        aside = _row(waiting).values(state=ASIDE, attempts=outgoing.c.attempts + 1, reason=reason)
        return await self._database.run(lambda connection: self._settled(connection, aside, _HERE))

    async def again(self, waiting: Waiting, reason: str) -> Held | None:
        """It was tried in vain; the queue is held longer, None when another process has it."""
        tried = _row(waiting).values(attempts=outgoing.c.attempts + 1, reason=reason)
        since = func.coalesce(receivers.c.away_since, time.time())
        away = {"away": reason, "away_since": since}
        return await self._database.run(lambda connection: self._settled(connection, tried, away))

    def _claim(self, connection: Connection) -> Held | None:
        until = now_of(connection) + self._seconds
        taken = upsert_of(connection, receivers).values(
            name=self._name, holder=self._holder, expires=until, delivered=0
        )
        free = (receivers.c.holder == self._holder) | (receivers.c.expires < now_of(connection))
        claimed = taken.on_conflict_do_update(
            index_elements=["name"], set_={"holder": self._holder, "expires": until}, where=free
        )
        return _held(connection.execute(claimed.returning(receivers.c.held)).one_or_none())

    def _done(self, connection: Connection, waiting: Waiting) -> Held | None:
        gone = connection.execute(delete(outgoing).where(outgoing.c.number == waiting.number)).rowcount
        return self._prolong(connection, {**_HERE, "delivered": receivers.c.delivered + gone})

    def _settled(self, connection: Connection, row: Update, standing: dict[str, Any]) -> Held | None:
        connection.execute(row)
        return self._prolong(connection, standing)

    def _prolong(self, connection: Connection, standing: dict[str, Any]) -> Held | None:
        values = {**standing, "expires": now_of(connection) + self._seconds}
        prolonged = self._mine().values(values).returning(receivers.c.held)
        return _held(connection.execute(prolonged).one_or_none())

    def _mine(self) -> Update:
        return update(receivers).where(receivers.c.name == self._name, receivers.c.holder == self._holder)

    def _ahead(self, connection: Connection) -> Ahead:
        mine = select(receivers.c.held).where(receivers.c.name == self._name, receivers.c.holder == self._holder)
        held = _held(connection.execute(mine).one_or_none())
        return Ahead(held, self._next(connection) if held else ())

    def _next(self, connection: Connection) -> tuple[Waiting, ...]:
        table = outgoing.c
        due = select(outgoing).where(table.receiver == self._name, table.state == WAITS)
        found: list[Waiting] = []
        size = 0
        for row in connection.execute(due.order_by(table.number).limit(_MOST)).all():
            found.append(self._waiting(connection, row))
            size += len(found[-1].content or b"")
            if size > _LARGEST:
                break
        return tuple(found)

    def _waiting(self, connection: Connection, row: Row[Any]) -> Waiting:
        unchecked = row.kind != PASSED and row.reason is None
        return Waiting(row.number, row.kind, row.ref, row.attempts, self._bytes(connection, row), unchecked)

    def _bytes(self, connection: Connection, row: Row[Any]) -> bytes | None:
        if row.content is not None:
            return bytes(row.content)
        try:
            return self._content(connection, row.sequence)
        except (NoResultFound, LookupError, Unprocessable):
            return None


def now_of(connection: Connection) -> ColumnElement[float]:
    """Seconds since 1970 by the database, at this statement and not at the transaction's begin."""
    if connection.dialect.name == "postgresql":
        return func.extract("epoch", func.clock_timestamp()).cast(Float)
    return (func.julianday("now") - 2440587.5) * 86400.0


def _row(waiting: Waiting) -> Update:
    return update(outgoing).where(outgoing.c.number == waiting.number)


def _held(row: Row[Any] | None) -> Held | None:
    return None if row is None else Held(row.held)
