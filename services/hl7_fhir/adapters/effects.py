"""What one message changes: its patient, its orders, and the events in the outbox that tell of it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import Connection

from contracts.events import Event, OrderCancelled, OrderChanged, OrderPlaced, PatientRegistered, PatientUpdated
from services.hl7_fhir.adapters.following import Follower, OrderNow, PatientNow
from services.hl7_fhir.adapters.numbers import find_order, remember_order
from services.hl7_fhir.adapters.resources import Change, Present, load, save
from services.hl7_fhir.domain import order, patient, record
from services.hl7_fhir.domain.arrival import Arrival
from services.hl7_fhir.domain.datatypes import Json
from services.hl7_fhir.domain.decision import Decision, Occasion, PatientSaid
from services.hl7_fhir.domain.identity import Identity
from services.hl7_fhir.domain.order import Fact, OrderSaid
from services.hl7_fhir.domain.record import Known, Site
from shared.identity import SiteKey


class Outbox(Protocol):
    """Queues an event in the transaction of its cause."""

    def add(self, connection: Connection, told: Event, *, id: str) -> None:  # noqa: A002
        """Publish ``told`` once the transaction is committed."""


_ORDER_EVENTS = {Fact.PLACED: OrderPlaced, Fact.CHANGED: OrderChanged, Fact.CANCELLED: OrderCancelled}


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
        followers: Sequence[Follower] = (),
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        self._site = site
        self._site_key = site_key
        self._arrival = arrival
        self._decision = decision
        self._followers = followers

    def apply(self) -> tuple[str, ...]:
        """Change patient and orders, queue the events; flags for what a person may want to look at."""
        if self._decision.patient is None:
            return ()
        flags = self._apply_patient()
        for number, said in enumerate(self._decision.orders, 1):
            flags += self._apply_order(said, number)
        return tuple(dict.fromkeys(flags))

    def _apply_patient(self) -> tuple[str, ...]:
        said = self._subject()
        before = load(self._connection, "Patient", said.resource_id)
        known = record.merge(before.record if before else {}, said.fields, self._decision.said)
        change = self._save("Patient", said.resource_id, before, known, patient.resource(known, self._site), None)
        event = self._patient_event(change)
        if change is not Change.STALE:
            self._tell_patient(said, known)
        if event:
            self._emit(event(patient_ref=said.resource_id, patient_token=self._patient_token()), said.resource_id)
        flags = () if said.identity else ("patient-not-identified",)
        return flags + (("older-than-known",) if self._is_older(before.record if before else {}) else ())

    def _patient_event(self, change: Change) -> type[PatientRegistered] | type[PatientUpdated] | None:
        registered = self._decision.occasion is Occasion.REGISTRATION
        if change is Change.CREATED or (registered and change is not Change.STALE):
            return PatientRegistered
        return PatientUpdated if change is Change.CHANGED else None

    def _apply_order(self, said: OrderSaid, number: int) -> tuple[str, ...]:
        subject = self._subject()
        known_id = find_order(self._connection, said)
        if known_id is None and not said.touches:
            return ("order-unknown",)
        order_id = known_id or self._new_order_id(said, number)
        before = load(self._connection, "ServiceRequest", order_id)
        owner = before.patient if before and before.patient and self._is_older(before.record) else subject.resource_id
        known = order.updated(before.record if before else {}, said, self._decision.said)
        body = order.resource(known, owner, self._site)
        change = self._save("ServiceRequest", order_id, before, known, body, owner)
        remember_order(self._connection, order_id, said)
        if change in (Change.CREATED, Change.CHANGED):
            fact = order.fact(before.body["status"] if before else None, body["status"])
            self._emit(self._order_event(fact, order_id, owner, known), order_id, number)
        if change is not Change.STALE:  # not every field that followers read is one of the resource
            self._tell_order(order_id, owner, known, body)
        moved = before is not None and before.patient != subject.resource_id
        return ("order-of-another-patient",) if moved else ()

    def _order_event(self, fact: Fact, order_id: str, owner: str, known: dict[str, Known]) -> Event:
        fields = record.values(known)
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

    def _tell_patient(self, said: PatientSaid, known: dict[str, Known]) -> None:
        fields = record.values(known)
        now = PatientNow(
            id=said.resource_id,
            identity=said.identity,
            fields=fields,
            body=patient.resource(known, self._site),
            message_ref=self._arrival.ref,
            now=self._arrival.received,
        )
        for follower in self._followers:
            follower.patient_changed(self._connection, now)

    def _tell_order(self, order_id: str, owner: str, known: dict[str, Known], body: Json) -> None:
        fields = record.values(known)
        now = OrderNow(
            id=order_id,
            patient=owner,
            status=body["status"],
            placer=order.number(fields, order.PLACER, self._site),
            filler=order.number(fields, order.FILLER, self._site),
            accession=order.accession_of(fields, self._site),
            study_uid=order.study_uid(fields),
            fields=fields,
            body=body,
            message_ref=self._arrival.ref,
            now=self._arrival.received,
        )
        for follower in self._followers:
            follower.order_changed(self._connection, now)

    def _subject(self) -> PatientSaid:
        if self._decision.patient is None:
            raise TypeError("a message that is not mapped has no effects")
        return self._decision.patient

    def _save(
        self,
        kind: str,
        resource_id: str,
        before: Present | None,
        known: dict[str, Known],
        body: Json,
        owner: str | None,
    ) -> Change:
        return save(
            self._connection,
            kind=kind,
            resource_id=resource_id,
            before=before,
            record=known,
            body=body,
            patient=owner,
            message_ref=self._arrival.ref,
            now=self._arrival.received,
        )

    def _new_order_id(self, said: OrderSaid, number: int) -> str:
        numbers = [
            part
            for kind, found in (("PLAC", said.placer), ("FILL", said.filler), ("ACSN", said.accession))
            if found
            for part in (kind, found.issuer, found.value)
        ]
        return self._site_key.token("order-resource", *(numbers or (self._arrival.ref, number)))

    def _patient_token(self) -> str | None:
        return self._token(self._site_key.patient_token, self._subject().identity)

    def _token(self, keyed: Callable[[str, str], str], identity: Identity | None) -> str | None:
        return keyed(identity.issuer, identity.value) if identity else None

    def _emit(self, event: Event, resource_id: str, number: int = 0) -> None:
        """``number`` is that of the order in the message, which may speak of one order twice."""
        event_id = self._site_key.event_id(event.subject, self._arrival.ref, resource_id, number)
        self._outbox.add(self._connection, event, id=event_id)

    def _is_older(self, known: record.Record) -> bool:
        return any(value.said > self._decision.said for value in known.values())
