"""Tells receivers of orders and studies: builds the message for each and puts its bytes into the receiver's queue."""

from collections.abc import Iterator
from datetime import datetime, tzinfo

from sqlalchemy import Connection

from services.hl7_fhir.adapters.building import plain, write
from services.hl7_fhir.adapters.outgoing import AVAILABLE, STATUS, STUDY_UID, CurrentReceivers, Outgoing
from services.hl7_fhir.adapters.resources import load
from services.hl7_fhir.adapters.tells import StudyNow
from services.hl7_fhir.domain.clinical import record
from services.hl7_fhir.domain.clinical.record import Fields
from services.hl7_fhir.domain.outgoing.receivers import Own, Receiver
from services.hl7_fhir.domain.outgoing.telling import News, State, encode, said
from shared.identity import SiteKey
from shared.observability import logger, metrics

_FORMS = {STATUS: "status", AVAILABLE: "study_available", STUDY_UID: "study_uid"}
#: MSH-10 has 20 characters until version 2.6.
_CONTROL_ID = 20

log = logger("hl7_fhir.telling")


class Telling:
    """Queues messages of our own; what a receiver cannot read is set aside for a person, never dropped.

    Checking a message against its profile takes too long for a transaction: that is done before it is sent.
    """

    def __init__(self, outgoing: Outgoing, receivers: CurrentReceivers, site_key: SiteKey, zone: tzinfo) -> None:
        self._outgoing = outgoing
        self._receivers = receivers
        self._site_key = site_key
        self._zone = zone

    def status_changed(
        self,
        connection: Connection,
        *,
        order: str,
        state: State,
        cause: str,
        now: datetime,
        study_uid: str | None = None,
    ) -> None:
        """Queue the order's status for each receiver that has ``status``."""
        for receiver, ref in self._new(connection, STATUS, order, state.value, cause):
            fields, patient = _order(connection, order)
            news = News("SC", state, now, patient, fields, study_uid)
            self._put(connection, receiver, STATUS, ref, news)

    def study_available(self, connection: Connection, study: StudyNow) -> None:
        """Queue that a study can be had for each receiver that has ``study_available``."""
        for receiver, ref in self._new(connection, AVAILABLE, study.uid, study.cause):
            fields, patient = _order(connection, study.order) if study.order else ({}, {})
            news = News(
                control="SC",
                state=State.COMPLETED,
                when=study.now,
                patient=_fields(connection, "Patient", study.patient) or patient,
                order=fields,
                study_uid=study.uid,
                modality=study.modality,
                started=study.started,
                accession=study.accession,
            )
            self._put(connection, receiver, AVAILABLE, ref, news)

    def announce(self, connection: Connection, *, order: str, study_uid: str, now: datetime) -> None:
        """Queue the order's new Study Instance UID for each receiver that has ``study_uid``."""
        for receiver, ref in self._new(connection, STUDY_UID, order, study_uid):
            fields, patient = _order(connection, order)
            news = News("XX", State.SCHEDULED, now, patient, fields, study_uid)
            self._put(connection, receiver, STUDY_UID, ref, news)

    def _new(self, connection: Connection, kind: str, *what: str) -> Iterator[tuple[Receiver, str]]:
        """The receivers that are to be told this, with the id of the message, as far as they were not told before."""
        for receiver in self._receivers.get().values():
            if getattr(receiver.own, _FORMS[kind]):
                ref = self._site_key.token("hl7-outgoing", receiver.name, kind, *what)
                if self._outgoing.is_new(connection, ref):
                    yield receiver, ref

    def _put(self, connection: Connection, receiver: Receiver, kind: str, ref: str, news: News) -> None:
        own = receiver.own
        form: str = getattr(own, _FORMS[kind])
        text, aside = _written(form, own, news, ref[:_CONTROL_ID], self._zone)
        content, holds_all = encode(text, own)
        if not holds_all and not own.replaces:
            aside = aside or "charset-too-small"
        if aside or not holds_all:
            outcome = "aside" if aside else "replaced"
            log.warning("hl7-own-message-flagged", target=receiver.name, kind=kind, ref=ref, reason=aside or outcome)
            metrics().count("causeway_hl7_outgoing_total", target=receiver.name, outcome=outcome)
        self._outgoing.add(connection, receiver=receiver.name, kind=kind, ref=ref, content=content, aside=aside)


def _written(form: str, own: Own, news: News, control_id: str, zone: tzinfo) -> tuple[str, str | None]:
    """The message, and why a person must look at it: one that cannot be built holds up nothing that is its cause."""
    try:
        return write(form, own, news, control_id, zone), None
    except Exception:  # hl7apy also raises what Python does where its tables and a message do not meet
        return plain(said(form, own, news, control_id, zone)), "profile-violation"


def _order(connection: Connection, order: str) -> tuple[Fields, Fields]:
    """The fields of an order and of its patient, empty for one that nobody knows."""
    found = load(connection, "ServiceRequest", order)
    if found is None:
        return {}, {}
    patient = _fields(connection, "Patient", found.patient) if found.patient else {}
    return record.values(found.record), patient


def _fields(connection: Connection, kind: str, resource_id: str) -> Fields:
    found = load(connection, kind, resource_id)
    return record.values(found.record) if found else {}
