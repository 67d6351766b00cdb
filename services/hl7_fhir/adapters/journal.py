"""Messages and what they change, in one transaction: the row, the resources, the events in the outbox."""

from collections.abc import Callable
from typing import Protocol
from zlib import crc32

from sqlalchemy import Connection, delete, insert, select, text

from contracts.events import Event, OrderCancelled, OrderChanged, OrderPlaced, PatientRegistered, PatientUpdated
from services.hl7_fhir.adapters.numbers import find_order, remember_order
from services.hl7_fhir.adapters.resources import Change, load, save
from services.hl7_fhir.adapters.tables import messages
from services.hl7_fhir.domain import order, patient, record
from services.hl7_fhir.domain.arrival import Arrival
from services.hl7_fhir.domain.datatypes import Json
from services.hl7_fhir.domain.decision import Decision, Occasion, PatientSaid
from services.hl7_fhir.domain.identity import Identity
from services.hl7_fhir.domain.order import Fact, OrderSaid
from services.hl7_fhir.domain.record import Known, Site
from services.hl7_fhir.domain.refusal import Refused
from shared.errors import AlreadyDone
from shared.identity import SiteKey
from shared.sql import Database


class Outbox(Protocol):
    """Queues an event in the transaction of its cause."""

    def add(self, connection: Connection, told: Event, *, id: str) -> None:  # noqa: A002
        """Publish ``told`` once the transaction is committed."""


_ORDER_EVENTS = {Fact.PLACED: OrderPlaced, Fact.CHANGED: OrderChanged, Fact.CANCELLED: OrderCancelled}


class SqlJournal:
    """The journal in SQL."""

    def __init__(self, database: Database, outbox: Outbox, site: Site, site_key: SiteKey) -> None:
        self._database = database
        self._outbox = outbox
        self._site = site
        self._site_key = site_key

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
        flags += Effects(connection, self._outbox, self._site, self._site_key, arrival, decision).apply()
        _keep(connection, arrival, code="AA", mapped=decision.occasion is not None, flags=flags)

    def _refuse(self, connection: Connection, arrival: Arrival, refusal: Refused) -> None:
        _lock(connection, [arrival.ref])
        if _outcome(connection, arrival) == "AA":
            return
        place = refusal.place
        told = f"{place.segment}^{place.occurrence}" + (f"^{place.field}" if place.field else "")
        _keep(connection, arrival, code="AE", mapped=False, flags=(), reason=refusal.reason, place=told)


class Effects:
    """What one message changes; every event has an id that a repeat of the message would give again."""

    def __init__(
        self,
        connection: Connection,
        outbox: Outbox,
        site: Site,
        site_key: SiteKey,
        arrival: Arrival,
        decision: Decision,
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        self._site = site
        self._site_key = site_key
        self._arrival = arrival
        self._decision = decision

    def apply(self) -> tuple[str, ...]:
        """Change patient and orders, queue the events; flags for what a person may want to look at."""
        if self._decision.patient is None:
            return ()
        flags = self._apply_patient()
        for said in self._decision.orders:
            flags += self._apply_order(said)
        return tuple(dict.fromkeys(flags))

    def _apply_patient(self) -> tuple[str, ...]:
        said = self._subject()
        before = load(self._connection, "Patient", said.resource_id)
        known = record.merge(before.record if before else {}, said.fields, self._decision.said)
        change = self._save("Patient", said.resource_id, known, patient.resource(known, self._site), None)
        event = self._patient_event(change)
        if event:
            self._emit(event(patient_ref=said.resource_id, patient_token=self._patient_token()), said.resource_id)
        flags = () if said.identity else ("patient-not-identified",)
        return flags + (("older-than-known",) if self._is_older(before.record if before else {}) else ())

    def _patient_event(self, change: Change) -> type[PatientRegistered] | type[PatientUpdated] | None:
        registered = self._decision.occasion is Occasion.REGISTRATION
        if change is Change.CREATED or (registered and change is not Change.STALE):
            return PatientRegistered
        return PatientUpdated if change is Change.CHANGED else None

    def _apply_order(self, said: OrderSaid) -> tuple[str, ...]:
        subject = self._subject()
        known_id = find_order(self._connection, said)
        if known_id is None and not said.touches:
            return ("order-unknown",)
        order_id = known_id or self._new_order_id(said)
        before = load(self._connection, "ServiceRequest", order_id)
        owner = before.patient if before and before.patient and self._is_older(before.record) else subject.resource_id
        known = order.updated(before.record if before else {}, said, self._decision.said)
        body = order.resource(known, owner, self._site)
        change = self._save("ServiceRequest", order_id, known, body, owner)
        remember_order(self._connection, order_id, said)
        if change in (Change.CREATED, Change.CHANGED):
            fact = order.fact(before.body["status"] if before else None, body["status"])
            self._emit(self._order_event(fact, order_id, owner, known), order_id)
        moved = before is not None and before.patient != subject.resource_id
        return ("order-of-another-patient",) if moved else ()

    def _order_event(self, fact: Fact, order_id: str, owner: str, known: dict[str, Known]) -> Event:
        fields = order.values(known)
        accession = order.accession_of(fields, self._site)
        return _ORDER_EVENTS[fact](
            order_ref=order_id,
            patient_ref=owner,
            patient_token=self._patient_token() if owner == self._subject().resource_id else None,
            accession_token=self._token(self._site_key.accession_token, accession),
            study_uid=order.study_uid(fields),
            priority=order.priority(fields),
            modality=order.modality(fields),
        )

    def _subject(self) -> PatientSaid:
        if self._decision.patient is None:
            raise TypeError("a message that is not mapped has no effects")
        return self._decision.patient

    def _save(self, kind: str, resource_id: str, known: dict[str, Known], body: Json, owner: str | None) -> Change:
        return save(
            self._connection,
            kind=kind,
            resource_id=resource_id,
            record=known,
            body=body,
            patient=owner,
            message_ref=self._arrival.ref,
            now=self._arrival.received,
        )

    def _new_order_id(self, said: OrderSaid) -> str:
        numbers = [
            part
            for kind, found in (("PLAC", said.placer), ("FILL", said.filler), ("ACSN", said.accession))
            if found
            for part in (kind, found.issuer, found.value)
        ]
        return self._site_key.token("order-resource", *(numbers or (self._arrival.ref,)))

    def _patient_token(self) -> str | None:
        return self._token(self._site_key.patient_token, self._subject().identity)

    def _token(self, keyed: Callable[[str, str], str], identity: Identity | None) -> str | None:
        return keyed(identity.issuer, identity.value) if identity else None

    def _emit(self, event: Event, resource_id: str) -> None:
        event_id = self._site_key.event_id(event.subject, self._arrival.ref, resource_id)
        self._outbox.add(self._connection, event, id=event_id)

    def _is_older(self, known: record.Record) -> bool:
        return any(value.said > self._decision.said for value in known.values())


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
