"""Who hears of what a message changed: the bus, through the outbox, and the followers in the same transaction."""

from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import Connection

from contracts.events import (
    Event,
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    PatientMerged,
    PatientRegistered,
    PatientUpdated,
)
from services.hl7_fhir.adapters.following import Follower, OrderNow, PatientNow
from services.hl7_fhir.domain.clinical import order
from services.hl7_fhir.domain.clinical.order import Fact
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.intake.arrival import Arrival
from services.hl7_fhir.domain.mapping.datatypes import Json
from services.hl7_fhir.domain.mapping.identity import Identity, patient_identity
from services.hl7_fhir.domain.mapping.rows import Fields
from shared.identity import SiteKey


class Outbox(Protocol):
    """Queues an event in the transaction of its cause."""

    def add(self, connection: Connection, told: Event, *, id: str) -> None:  # noqa: A002
        """Publish ``told`` once the transaction is committed."""


_ORDER_EVENTS = {Fact.PLACED: OrderPlaced, Fact.CHANGED: OrderChanged, Fact.CANCELLED: OrderCancelled}


class Telling:
    """Tells of patients and orders; every event has an id that a repeat of the message would give again."""

    def __init__(
        self,
        connection: Connection,
        outbox: Outbox,
        site: Site,
        site_key: SiteKey,
        arrival: Arrival,
        followers: Sequence[Follower],
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        self._site = site
        self._site_key = site_key
        self._arrival = arrival
        self._followers = followers

    def identity_of(self, fields: Fields) -> Identity | None:
        """Who a Patient is by what is known of it."""
        return patient_identity(fields.get("PID-3", ()), fields.get("PID-2", ()), self._site.patient_issuer)

    def patient(
        self,
        event: type[PatientRegistered] | type[PatientUpdated] | None,
        patient_id: str,
        identity: Identity | None,
        number: int = 0,
    ) -> None:
        """Tell the bus of a patient."""
        if event:
            self._emit(event(patient_ref=patient_id, patient_token=self._patient_token(identity)), patient_id, number)

    def patient_changed(self, patient_id: str, identity: Identity | None, fields: Fields, body: Json) -> None:
        """Tell the followers of a patient."""
        now = self._patient_now(patient_id, identity, fields, body)
        for follower in self._followers:
            follower.patient_changed(self._connection, now)

    def merged(
        self, survivor_id: str, fields: Fields, body: Json, merged_id: str, merged: Identity | None, number: int
    ) -> None:
        """Tell the bus and the followers that ``merged_id`` goes on in ``survivor_id``."""
        identity = self.identity_of(fields)
        told = PatientMerged(
            patient_ref=survivor_id,
            patient_token=self._patient_token(identity),
            merged_ref=merged_id,
            merged_token=self._patient_token(merged),
        )
        self._emit(told, merged_id, number)
        now = self._patient_now(survivor_id, identity, fields, body)
        for follower in self._followers:
            follower.patients_merged(self._connection, now, merged_id)

    def order(
        self,
        fact: Fact | None,
        order_id: str,
        owner: str,
        owner_is: Identity | None,
        fields: Fields,
        body: Json,
        number: int,
        patient_fields: Fields | None = None,
    ) -> None:
        """Tell followers of an order, the bus if there is a ``fact``; ``number`` is its place in the message."""
        accession = order.accession_of(fields, self._site)
        study_uid, modality = order.study_uid(fields), order.modality(fields)
        if fact is not None:
            told = _ORDER_EVENTS[fact](
                order_ref=order_id,
                patient_ref=owner,
                patient_token=self._patient_token(owner_is),
                accession_token=self._token(self._site_key.accession_token, accession),
                study_uid=study_uid,
                priority=body.get("priority"),
                modality=modality,
            )
            self._emit(told, order_id, number)
        if not self._followers:
            return
        now = OrderNow(
            id=order_id,
            patient=owner,
            status=body["status"],
            placer=order.number(fields, order.PLACER, self._site),
            filler=order.number(fields, order.FILLER, self._site),
            accession=accession,
            study_uid=study_uid,
            fields=fields,
            body=body,
            message_ref=self._arrival.ref,
            now=self._arrival.received,
            patient_fields=patient_fields,
        )
        for follower in self._followers:
            follower.order_changed(self._connection, now)

    def _patient_now(self, patient_id: str, identity: Identity | None, fields: Fields, body: Json) -> PatientNow:
        return PatientNow(
            id=patient_id,
            identity=identity,
            fields=fields,
            body=body,
            message_ref=self._arrival.ref,
            now=self._arrival.received,
        )

    def _patient_token(self, identity: Identity | None) -> str | None:
        return self._token(self._site_key.patient_token, identity)

    def _token(self, keyed: Callable[[str, str], str], identity: Identity | None) -> str | None:
        return keyed(identity.issuer, identity.value) if identity else None

    def _emit(self, event: Event, resource_id: str, number: int = 0) -> None:
        """``number`` tells apart what one message says twice of one resource."""
        event_id = self._site_key.event_id(event.subject, self._arrival.ref, resource_id, number)
        self._outbox.add(self._connection, event, id=event_id)
