"""The messages that wait to be mapped: each is decided on and done in its turn, several in a transaction."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from opentelemetry.trace import SpanKind
from sqlalchemy import Connection, Row, bindparam, func, select, text, update

from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.effects import Effects, Outbox
from services.hl7_fhir.adapters.feed_lock import lock_feed
from services.hl7_fhir.adapters.following import Follower
from services.hl7_fhir.adapters.losses import Lost, remember_losses
from services.hl7_fhir.adapters.resource_writes import gathering
from services.hl7_fhir.adapters.tables import IS_OPEN, messages
from services.hl7_fhir.domain.clinical.decision import Reader
from services.hl7_fhir.domain.intake.arrival import Arrival, Name, now
from services.hl7_fhir.domain.intake.keeping import State
from services.hl7_fhir.domain.messages.refusal import Refused
from shared.identity import SiteKey
from shared.observability import logger, tracer
from shared.sql import Database

#: The key of the advisory lock (its second is 1) of the replica that maps: messages keep their order.
_LOCK = 2575

#: Bytes of messages that are held at once, but for a single one.
_MOST_BYTES = 2 * 1024 * 1024

log = logger("causeway.hl7")


class Readers(Protocol):
    """How the messages of each sender are read."""

    def reader(self, origin: str) -> Reader:
        """The reader for messages of the sender called ``origin``."""
        ...


class SqlWaiting:
    """Maps what waits."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        readers: Readers,
        site_key: SiteKey,
        contents: Contents,
        followers: Sequence[Follower] = (),
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._readers = readers
        self._site_key = site_key
        self._contents = contents
        self._followers = followers
        self._clock = clock
        self._at: int | None = None

    async def map_some(self, limit: int) -> int:
        """Do the next ``limit`` messages in one transaction; how many. Nothing is done when it raises."""
        return await self._database.run(lambda connection: self._map(connection, limit))

    async def next_is_long(self) -> bool:
        """Whether the next message is so long that it is mapped alone."""
        first = _SIZES.with_only_columns(messages.c.size)
        size = await self._database.read(lambda connection: connection.execute(first, {"most": 1}).scalar_one_or_none())
        return (size or 0) > _MOST_BYTES // 2

    async def give_up(self, reason: str) -> None:
        """The message at which mapping ended last cannot be mapped: a person has to look at it, the others go on."""
        failed = update(messages).where(messages.c.sequence == self._at, messages.c.state == "waiting")
        await self._database.run(
            lambda connection: connection.execute(failed.values(state="failed", reason=reason)).rowcount
        )

    def _map(self, connection: Connection, limit: int) -> int:
        rows = self._next(connection, limit)
        if rows:
            lock_feed(connection)
            reused = _reused(connection, rows)
            lost: list[Lost] = []
            with gathering(connection):
                settled = [self._map_one(connection, row, lost, is_reused=row.sequence in reused) for row in rows]
            remember_losses(connection, lost)
            connection.execute(_SETTLE, settled)
        return len(rows)

    def _next(self, connection: Connection, limit: int) -> Sequence[Row[Any]]:
        if connection.dialect.name == "postgresql":
            held = text("SELECT pg_try_advisory_xact_lock(:space, 1)")
            if not connection.execute(held, {"space": _LOCK}).scalar_one():
                return ()
        last, size = None, 0
        for row in connection.execute(_SIZES, {"most": limit}):
            size += row.size
            if last is not None and size > _MOST_BYTES:
                break
            last = row.sequence
        return connection.execute(_WAITING, {"most": limit, "last": last}).all() if last is not None else ()

    def _map_one(self, connection: Connection, row: Row[Any], lost: list[Lost], *, is_reused: bool) -> dict[str, Any]:
        self._at = row.sequence
        arrival = self._arrival(row)
        began = int(arrival.received.timestamp() * 1_000_000_000)
        with tracer().start_as_current_span(
            "receive hl7",
            kind=SpanKind.SERVER,
            start_time=began,
            attributes={"ref": arrival.ref},
            record_exception=False,
        ):
            return self._do(connection, row, arrival, lost, is_reused=is_reused)

    def _do(
        self, connection: Connection, row: Row[Any], arrival: Arrival, lost: list[Lost], *, is_reused: bool
    ) -> dict[str, Any]:
        """Do what a message says, and note what it ``lost``; what its row then says."""
        reader = self._readers.reader(row.origin)
        try:
            decision = reader.decide(arrival.content, arrival.ref, arrival.received)
        except Refused as refusal:
            # It was taken: the registry or a map has changed since, or the check before the answer has a gap.
            log.error("hl7-message-not-mapped", ref=arrival.ref, reason=refusal.reason)
            return _settled(row, "failed", reason=refusal.reason)
        flags = (*row.flags.split(), *decision.flags)
        flags += ("control-id-reused",) if is_reused else ()
        effects = Effects(
            connection,
            self._outbox,
            reader.site,
            self._site_key,
            arrival,
            decision,
            followers=self._followers,
            now=self._clock(),
        )
        flags += effects.apply()
        if decision.losses:
            lost.append(Lost(arrival, decision.losses))
        mapped = decision.occasion is not None
        return _settled(row, "done", mapped=mapped, flags=" ".join(dict.fromkeys(flags)))

    def _arrival(self, row: Row[Any]) -> Arrival:
        return Arrival(
            ref=row.ref,
            name_ref=row.name,
            name=Name(row.sender, row.facility, row.control_id, row.type, row.trigger_event, row.version),
            sha256=row.sha256,
            content=self._contents.of(row),
            received=row.received if row.received.tzinfo else row.received.replace(tzinfo=UTC),
        )


def _settled(
    row: Row[Any], state: State, *, reason: str | None = None, mapped: bool = False, flags: str | None = None
) -> dict[str, Any]:
    """What the row of a message says from now on."""
    said = row.flags if flags is None else flags
    return {"at": row.sequence, "is": state, "because": reason, "was_mapped": mapped, "flagged": said}


def _reused(connection: Connection, rows: Sequence[Row[Any]]) -> set[int]:
    """Those of ``rows`` before which another message came with the same MSH-3, MSH-4 and MSH-10 and other bytes."""
    found = connection.execute(_FIRST, {"names": sorted({row.name for row in rows})})
    first = {row.name: row.first for row in found}
    return {row.sequence for row in rows if first[row.name] < row.sequence}


#: The first condition is that of the index: SQLite uses it only when it is written out.
_OF_THEM = (IS_OPEN, messages.c.state == "waiting")
_SIZES = select(messages.c.sequence, messages.c.size).where(*_OF_THEM).order_by(messages.c.sequence)
_SIZES = _SIZES.limit(bindparam("most"))
_WAITING = (
    select(messages)
    .where(*_OF_THEM, messages.c.sequence <= bindparam("last"))
    .order_by(messages.c.sequence)
    .limit(bindparam("most"))
)
_FIRST = (
    select(messages.c.name, func.min(messages.c.sequence).label("first"))
    .where(messages.c.name.in_(bindparam("names", expanding=True)))
    .group_by(messages.c.name)
)
_SETTLE = (
    update(messages)
    .where(messages.c.sequence == bindparam("at"))
    .values(
        state=bindparam("is"), reason=bindparam("because"), mapped=bindparam("was_mapped"), flags=bindparam("flagged")
    )
)
