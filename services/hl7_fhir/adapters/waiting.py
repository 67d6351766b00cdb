"""The messages that wait to be mapped: each is decided on and done in its turn, several in a transaction."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any, Protocol

from opentelemetry.trace import SpanKind
from sqlalchemy import Connection, Row, select, text, update

from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.effects import Effects, Outbox
from services.hl7_fhir.adapters.following import Follower
from services.hl7_fhir.adapters.losses import remember_losses
from services.hl7_fhir.adapters.tables import messages
from services.hl7_fhir.domain.arrival import Arrival, Name
from services.hl7_fhir.domain.decision import Reader
from services.hl7_fhir.domain.keeping import State
from services.hl7_fhir.domain.refusal import Refused
from shared.identity import SiteKey
from shared.observability import logger, tracer
from shared.sql import Database

#: The key of the advisory lock (its second is 1) of the replica that maps: messages keep their order.
_LOCK = 2575

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
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._readers = readers
        self._site_key = site_key
        self._contents = contents
        self._followers = followers

    async def map_some(self, limit: int) -> int:
        """Do the next ``limit`` messages in one transaction; how many. Nothing is done when it raises."""
        return await self._database.run(lambda connection: self._map(connection, limit))

    async def give_up_first(self, reason: str) -> None:
        """The message that is next cannot be mapped: a person has to look at it, the others go on."""

        def mark(connection: Connection) -> None:
            for row in self._next(connection, 1):
                _settle(connection, row.sequence, state="failed", reason=reason)

        await self._database.run(mark)

    def _map(self, connection: Connection, limit: int) -> int:
        rows = self._next(connection, limit)
        for row in rows:
            self._map_one(connection, row)
        return len(rows)

    def _next(self, connection: Connection, limit: int) -> Sequence[Row[Any]]:
        if connection.dialect.name == "postgresql":
            held = text("SELECT pg_try_advisory_xact_lock(:space, 1)")
            if not connection.execute(held, {"space": _LOCK}).scalar_one():
                return ()
        waiting = select(messages).where(messages.c.state == "waiting").order_by(messages.c.sequence)
        return connection.execute(waiting.limit(limit)).all()

    def _map_one(self, connection: Connection, row: Row[Any]) -> None:
        arrival = self._arrival(row)
        began = int(arrival.received.timestamp() * 1_000_000_000)
        with tracer().start_as_current_span(
            "receive hl7",
            kind=SpanKind.SERVER,
            start_time=began,
            attributes={"ref": arrival.ref},
            record_exception=False,
        ):
            self._do(connection, row, arrival)

    def _do(self, connection: Connection, row: Row[Any], arrival: Arrival) -> None:
        reader = self._readers.reader(row.origin)
        try:
            decision = reader.decide(arrival.content, arrival.ref, arrival.received)
        except Refused as refusal:
            # It was taken: the registry or a map has changed since, or the check before the answer has a gap.
            log.error("hl7-message-not-mapped", ref=arrival.ref, reason=refusal.reason)
            _settle(connection, row.sequence, state="failed", reason=refusal.reason)
            return
        flags = (*row.flags.split(), *decision.flags)
        flags += ("control-id-reused",) if _is_reused(connection, row) else ()
        effects = Effects(
            connection, self._outbox, reader.site, self._site_key, arrival, decision, followers=self._followers
        )
        flags += effects.apply()
        remember_losses(connection, arrival, decision.losses)
        mapped = decision.occasion is not None
        _settle(connection, row.sequence, state="done", mapped=mapped, flags=" ".join(dict.fromkeys(flags)))

    def _arrival(self, row: Row[Any]) -> Arrival:
        return Arrival(
            ref=row.ref,
            name_ref=row.name,
            name=Name(row.sender, row.facility, row.control_id, row.type, row.trigger_event, row.version),
            sha256=row.sha256,
            content=self._contents.of(row),
            received=row.received if row.received.tzinfo else row.received.replace(tzinfo=UTC),
        )


def _settle(connection: Connection, sequence: int, *, state: State, **values: Any) -> None:
    connection.execute(update(messages).where(messages.c.sequence == sequence).values(state=state, **values))


def _is_reused(connection: Connection, row: Row[Any]) -> bool:
    """Whether another message with the same MSH-3, MSH-4 and MSH-10 but other bytes came before."""
    same = select(messages.c.sequence).where(messages.c.name == row.name, messages.c.sequence < row.sequence)
    return connection.execute(same.limit(1)).first() is not None
