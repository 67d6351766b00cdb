"""Messages as they came, each kept in one transaction with all that it changes."""

from collections.abc import Callable, Sequence
from zlib import crc32

from sqlalchemy import Connection, delete, insert, select, text

from services.hl7_fhir.adapters.effects import Effects, Outbox
from services.hl7_fhir.adapters.following import Follower
from services.hl7_fhir.adapters.tables import messages
from services.hl7_fhir.domain.arrival import Arrival
from services.hl7_fhir.domain.decision import Decision
from services.hl7_fhir.domain.receivers import Taken
from services.hl7_fhir.domain.record import Site
from services.hl7_fhir.domain.refusal import Refused
from shared.errors import AlreadyDone
from shared.identity import SiteKey
from shared.sql import Database


class SqlJournal:
    """The journal in SQL."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        site: Site,
        site_key: SiteKey,
        followers: Sequence[Follower] = (),
        passes_on: Callable[[Connection, Sequence[Taken]], None] | None = None,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._site = site
        self._site_key = site_key
        self._followers = followers
        self._passes_on = passes_on

    async def take(self, arrival: Arrival, decision: Decision) -> None:
        """Keep the message and do what it says; AlreadyDone when it was taken before."""
        await self._database.run(lambda connection: self._take(connection, arrival, decision))

    async def refuse(self, arrival: Arrival, refusal: Refused) -> None:
        """Keep the message with the reason of its refusal."""
        await self._database.run(lambda connection: self._refuse(connection, arrival, refusal))

    def _take(self, connection: Connection, arrival: Arrival, decision: Decision) -> None:
        _lock(connection, _keys(arrival, decision))
        known = _outcome(connection, arrival)
        if known == "AA":
            raise AlreadyDone("message-known")
        flags = decision.flags + (("control-id-reused",) if _is_reused(connection, arrival) else ())
        flags += Effects(
            connection, self._outbox, self._site, self._site_key, arrival, decision, self._followers
        ).apply()
        _keep(connection, arrival, code="AA", mapped=decision.occasion is not None, flags=flags)
        self._pass_on(connection, arrival, refused=False)

    def _refuse(self, connection: Connection, arrival: Arrival, refusal: Refused) -> None:
        _lock(connection, [arrival.ref])
        if _outcome(connection, arrival) is not None:
            return
        place = refusal.place
        told = f"{place.segment}^{place.occurrence}" + (f"^{place.field}" if place.field else "")
        _keep(connection, arrival, code="AE", mapped=False, flags=(), reason=refusal.reason, place=told)
        self._pass_on(connection, arrival, refused=True)

    def _pass_on(self, connection: Connection, arrival: Arrival, *, refused: bool) -> None:
        if self._passes_on is None:
            return
        kept = select(messages.c.sequence).where(messages.c.ref == arrival.ref)
        name = arrival.name
        taken = Taken(
            sequence=connection.execute(kept).scalar_one(),
            ref=arrival.ref,
            type=name.type,
            trigger=name.trigger,
            sender=name.sender,
            facility=name.facility,
            refused=refused,
        )
        self._passes_on(connection, [taken])


def _keys(arrival: Arrival, decision: Decision) -> list[str]:
    said = decision.patient
    numbers = [found for each in decision.orders for found in (each.placer, each.filler) if found]
    patients = [said.resource_id] if said else []
    return [arrival.ref, *patients, *(f"{found.issuer}\x1f{found.value}" for found in numbers)]


def _lock(connection: Connection, keys: list[str]) -> None:
    """On PostgreSQL, let messages about the same patient or order follow each other; SQLite has one writer anyway."""
    if connection.dialect.name != "postgresql":
        return
    for key in sorted({crc32(key.encode()) for key in keys}):
        connection.execute(text("SELECT pg_advisory_xact_lock(:space, :key)"), {"space": 2575, "key": key - 2**31})


def _outcome(connection: Connection, arrival: Arrival) -> str | None:
    return connection.execute(select(messages.c.code).where(messages.c.ref == arrival.ref)).scalar_one_or_none()


def _is_reused(connection: Connection, arrival: Arrival) -> bool:
    """Whether another message with the same MSH-3, MSH-4 and MSH-10 but other bytes was taken before."""
    same = select(messages.c.sequence).where(messages.c.name == arrival.name_ref, messages.c.ref != arrival.ref)
    return connection.execute(same.limit(1)).first() is not None


def _keep(
    connection: Connection,
    arrival: Arrival,
    *,
    code: str,
    mapped: bool,
    flags: tuple[str, ...],
    reason: str | None = None,
    place: str | None = None,
) -> None:
    """Write the message's row, instead of that of an earlier refusal of the same bytes."""
    connection.execute(delete(messages).where(messages.c.ref == arrival.ref))
    connection.execute(
        insert(messages).values(
            ref=arrival.ref,
            name=arrival.name_ref,
            received=arrival.received,
            sender=arrival.name.sender,
            facility=arrival.name.facility,
            control_id=arrival.name.control_id,
            type=arrival.name.type,
            trigger_event=arrival.name.trigger,
            version=arrival.name.version,
            sha256=arrival.sha256,
            content=arrival.content,
            code=code,
            reason=reason,
            place=place,
            mapped=mapped,
            flags=" ".join(flags),
        )
    )
