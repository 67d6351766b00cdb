"""What is known of the copies, in SQL; what is said of them leaves through the outbox of the same transaction."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from contracts.events import CopyAbsent, CopyDamaged, CopyKey, CopyVerified, Sealed
from services.verification.adapters.tables import copies, inbox
from services.verification.domain.copies import (
    Cause,
    KnownCopy,
    Outcome,
    absence_id,
    damaged,
    event_id,
    unproven,
    verified,
)
from services.verification.domain.proving import Proof
from shared.identity import SiteKey
from shared.messaging.inbox import Inbox
from shared.messaging.outbox import Outbox
from shared.sql import Database

HANDLER = "copy_written"

#: Seconds for which a copy that is being read is not due for another process.
CLAIM = 3600.0


def _utc() -> datetime:
    return datetime.now(UTC)


class CopyLedger:
    """The ledger in one database. ``reprove_after`` is in seconds."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        site_key: SiteKey,
        reprove_after: float,
        now: Callable[[], datetime] = _utc,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._inbox = Inbox(inbox)
        self._site_key = site_key
        self._reprove_after = reprove_after
        self._now = now

    async def find(self, copy_key: CopyKey) -> KnownCopy | None:
        row = await self._database.read(lambda connection: _row(connection, copy_key))
        return _known(row) if row is not None and row.sealed is not None else None

    async def settled(self, event_id: str, copy_key: CopyKey) -> bool:
        seen = exists().where(inbox.c.event_id == event_id, inbox.c.handler == HANDLER)
        expired = exists().where(_is(copy_key), copies.c.state == "expired")
        return await self._database.read(lambda connection: bool(connection.scalar(select(or_(seen, expired)))))

    async def record(self, copy: KnownCopy, outcome: Outcome, cause: Cause) -> None:
        def work(connection: Connection) -> None:
            row = _row(connection, copy.copy_key, lock=True)
            if self._was_taken_in(connection, cause) or (row is not None and row.state == "expired"):
                return
            proofs = cause.run if cause.event_id is None else row.proofs if row is not None else 0
            self._write(connection, copy, outcome, proofs, cause)

        await self._database.run(work)

    async def repeat(self, copy: KnownCopy, cause: Cause) -> None:
        def work(connection: Connection) -> None:
            if not self._was_taken_in(connection, cause):
                self._say(connection, verified(copy, copy.proven or copy.written, cause), cause)

        await self._database.run(work)

    async def expire(self, copy_key: CopyKey) -> None:
        # The row is made when there is none: the event may overtake that of the copy itself.
        values = _key_of(copy_key) | {
            "state": "expired",
            "copy_key": copy_key.model_dump_json(),
            "proofs": 0,
            "due": None,
        }
        await self._database.run(lambda connection: _upsert(connection, values, {"state": "expired", "due": None}))

    async def tell_absent(self, fact: CopyAbsent) -> None:
        event_id_ = absence_id(self._site_key, fact)
        await self._database.run(lambda connection: self._outbox.add(connection, fact, id=event_id_))

    async def due(self, target: str, limit: int) -> Sequence[KnownCopy]:
        now = time.time()
        wanted = (
            select(copies)
            .where(copies.c.target == target, copies.c.due <= now)
            .order_by(copies.c.due)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )

        def work(connection: Connection) -> list[KnownCopy]:
            found = [_known(row) for row in connection.execute(wanted)]
            for copy in found:
                connection.execute(update(copies).where(_is(copy.copy_key)).values(due=now + CLAIM))
            return found

        return await self._database.run(work)

    async def make_due(self, *, sealed_id: str | None = None, study_ref: str | None = None) -> int:
        asked = [copies.c.state == "proven"]
        asked += [copies.c.sealed_id == sealed_id] if sealed_id is not None else []
        asked += [copies.c.study_ref == study_ref] if study_ref is not None else []
        statement = update(copies).where(and_(*asked)).values(due=0.0)
        return await self._database.run(lambda connection: connection.execute(statement).rowcount)

    def _was_taken_in(self, connection: Connection, cause: Cause) -> bool:
        return cause.event_id is not None and self._inbox.seen(connection, cause.event_id, HANDLER)

    def _write(self, connection: Connection, copy: KnownCopy, outcome: Outcome, proofs: int, cause: Cause) -> None:
        now = self._now()
        if isinstance(outcome, Proof):
            change: dict[str, Any] = {"state": "proven", "proven": now, "due": time.time() + self._reprove_after}
            fact: CopyVerified | CopyDamaged = verified(copy, now, cause)
        else:
            change = {"state": "damaged", "due": None}
            others = _of_pack(connection, copy.copy_key.sealed_id)
            fact = damaged(copy, outcome, now, cause, others, _unproven(connection, copy.copy_key))
        change |= {
            "study_ref": copy.sealed.study_ref,
            "copy_key": copy.copy_key.model_dump_json(),
            "sealed": copy.sealed.model_dump_json(),
            "written": copy.written,
            "proofs": proofs,
        }
        _upsert(connection, _key_of(copy.copy_key) | change, change)
        self._say(connection, fact, cause)

    def _say(self, connection: Connection, fact: CopyVerified | CopyDamaged, cause: Cause) -> None:
        self._outbox.add(connection, fact, id=event_id(self._site_key, fact, cause))


def _key_of(copy_key: CopyKey) -> dict[str, Any]:
    return {"sealed_id": copy_key.sealed_id, "target": copy_key.target, "generation": copy_key.generation}


def _is(copy_key: CopyKey) -> ColumnElement[bool]:
    return and_(*(copies.c[name] == value for name, value in _key_of(copy_key).items()))


def _row(connection: Connection, copy_key: CopyKey, lock: bool = False) -> Row[Any] | None:
    wanted = select(copies).where(_is(copy_key))
    return connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()


def _of_pack(connection: Connection, sealed_id: str) -> list[KnownCopy]:
    wanted = select(copies).where(copies.c.sealed_id == sealed_id, copies.c.state == "proven")
    return [_known(row) for row in connection.execute(wanted.order_by(copies.c.target, copies.c.generation))]


def _unproven(connection: Connection, copy_key: CopyKey) -> int:
    mine = (copies.c.sealed_id == copy_key.sealed_id, copies.c.target == copy_key.target)
    rows = connection.execute(select(copies.c.generation, copies.c.state, copies.c.proven).where(*mine))
    return unproven(copy_key.generation, {row.generation: (row.state, row.proven) for row in rows})


def _upsert(connection: Connection, values: dict[str, Any], change: dict[str, Any]) -> None:
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    statement = insert(copies).values(values)
    key = ["sealed_id", "target", "generation"]
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=change))


def _known(row: Row[Any]) -> KnownCopy:
    return KnownCopy(
        copy_key=CopyKey.model_validate_json(row.copy_key),
        sealed=Sealed.model_validate_json(row.sealed),
        written=_aware(row.written),
        state=row.state,
        proven=_aware(row.proven) if row.proven else None,
        proofs=row.proofs,
    )


def _aware(moment: datetime) -> datetime:
    """SQLite keeps no time zone: what was written was UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
