"""Studies as FHIR ImagingStudy, tied to orders and patients: decided anew whenever one of the three changes.

Each change is one transaction with the versions and events that follow. What was heard of a study is only replaced by
what comes later in its story (its revision, then its rank), so that repeats and late events change nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from contracts.events import StudyMatched
from services.hl7_fhir.adapters import study_keys
from services.hl7_fhir.adapters.effects import Outbox
from services.hl7_fhir.adapters.feed_lock import lock_feed
from services.hl7_fhir.adapters.following import OrderNow, PatientNow
from services.hl7_fhir.adapters.resources import Present, load, save
from services.hl7_fhir.adapters.study_decisions import decided_of
from services.hl7_fhir.adapters.study_tables import studies, study_orders
from services.hl7_fhir.adapters.telling_all import TellingAll
from services.hl7_fhir.adapters.tells import StudyNow, Tells, TellsNobody
from services.hl7_fhir.domain.clinical import order
from services.hl7_fhir.domain.clinical.record import Known, Site
from services.hl7_fhir.domain.mapping.identity import Identity, person_identities
from services.hl7_fhir.domain.studies import imaging_study
from services.hl7_fhir.domain.studies.hearing import Heard, digest_of, scheduled_of
from services.hl7_fhir.domain.studies.imaging_study import ENDPOINT, Ties
from services.hl7_fhir.domain.studies.matching import Match, Study, match
from shared.errors import AlreadyDone
from shared.identity import SiteKey
from shared.sql import Database

_KIND = "ImagingStudy"
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


class Studies:
    """Keeps studies tied, whoever speaks: a Follower of patients and orders, and told of studies by ``hear``."""

    def __init__(self, outbox: Outbox, site_key: SiteKey, dicomweb_url: str = "", tells: Tells | None = None) -> None:
        self._outbox = outbox
        self._tells = tells or TellsNobody()
        self._site_key = site_key
        self._dicomweb_url = dicomweb_url

    def patient_changed(self, connection: Connection, patient: PatientNow) -> None:
        """The patient may have other ids now: studies that name it by them find it, or find it no more."""
        found = study_keys.remember_patient(connection, patient.id, self._tokens(patient))
        for study in study_keys.studies_of_tokens(connection, found) if found else ():
            self.tie(connection, study, patient.message_ref, patient.now)

    def strangers(self) -> Mapping[str, ColumnElement[bool]]:
        """Patients and orders whose keys are not known."""
        return study_keys.STRANGERS

    def patient_found(self, connection: Connection, patient: PatientNow) -> None:
        """Studies and orders may be older here than what is now known of their patient."""
        self.patient_changed(connection, patient)
        for study in study_keys.studies_of_patients(connection, {patient.id}):
            self.tie(connection, study, patient.message_ref, patient.now)

    def patients_merged(self, connection: Connection, survivor: PatientNow, merged: str) -> None:
        """What was of ``merged`` is the survivor's."""
        study_keys.remember_patient(connection, survivor.id, self._tokens(survivor))
        top = study_keys.merge(connection, survivor.id, merged)
        family = {*study_keys.family_of(connection, top), merged, survivor.id}
        for study in study_keys.studies_of_patients(connection, family):
            self.tie(connection, study, survivor.message_ref, survivor.now)

    def order_changed(self, connection: Connection, order_: OrderNow) -> None:
        """The studies that the order names, named, or is tied to are decided anew."""
        for study in study_keys.remember_order(connection, self._keys(order_)):
            self.tie(connection, study, order_.message_ref, order_.now)

    def hear(self, connection: Connection, heard: Heard, ref: str, now: datetime) -> None:
        """What an event told of a study; AlreadyDone when it told nothing later than what is known."""
        lock_feed(connection)
        before = connection.execute(select(studies).where(studies.c.id == heard.study_ref)).one_or_none()
        if before is not None and (before.revision, before.rank) >= (heard.revision, heard.rank):
            raise AlreadyDone("study-known")
        if before is not None and not heard.series:
            heard = replace(heard, series=before.series)
        self._remember(connection, heard, before is None)
        if heard.rank:
            images = heard.images
            study_keys.remember_tokens(connection, heard.study_ref, images.patients, images.accessions)
        self.tie(connection, heard.study_ref, ref, now, heard.elements())

    def tie(
        self, connection: Connection, study_id: str, ref: str, now: datetime, images: Mapping[str, Any] | None = None
    ) -> None:
        """Decide what the study is tied to, and write what follows; ``images`` as last told when they are not given."""
        row = connection.execute(select(studies).where(studies.c.id == study_id)).one()
        study = study_keys.study_of(connection, row)
        found = match(study, study_keys.orders_named(connection, study), decided_of(connection, study_id))
        self._tell(connection, row, found, now)
        before = load(connection, _KIND, study_id)
        body = imaging_study.resource(row.study_uid, images or _seen(before), self._ties(connection, found, study))
        self._save(connection, _KIND, study_id, before, body, found.patient, ref, now)
        if row.rank and found.patient is not None:
            self._say_available(connection, row, found, now)

    def _say_available(self, connection: Connection, row: Row[Any], found: Match, now: datetime) -> None:
        """Tell receivers that the study can be had, and again when another order is known to be its own."""
        order = min(found.orders, default=None)
        started = row.started if row.started is None or row.started.tzinfo else row.started.replace(tzinfo=UTC)
        self._tells.study_available(
            connection,
            StudyNow(
                uid=row.study_uid,
                patient=found.patient or "",
                order=order,
                cause=order or "no-order",
                now=now,
                modality=next(iter(row.modalities.split()), None),
                started=started,
            ),
        )

    def offer(self, connection: Connection) -> None:
        """Write the Endpoint as it is set: a site that gives up its DICOMweb says so."""
        before = load(connection, "Endpoint", ENDPOINT)
        if self._dicomweb_url:
            body = imaging_study.endpoint(self._dicomweb_url)
        elif before:
            body = imaging_study.endpoint(str(before.body["address"]), active=False)
        else:
            return
        ref = self._site_key.token("endpoint", digest_of(body))
        now = datetime.now(UTC).replace(microsecond=0)
        self._save(connection, "Endpoint", ENDPOINT, before, body, None, ref, now)

    def _remember(self, connection: Connection, heard: Heard, is_new: bool) -> None:
        row: dict[str, Any] = {
            "revision": heard.revision,
            "rank": heard.rank,
            "series": heard.series,
            "instances": heard.instances,
            "modalities": " ".join(sorted(heard.images.modalities)),
            "started": heard.images.started,
        }
        if is_new:
            nothing = {"basis": "none", "reasons": "", "waiting": False, "told": 0}
            named = {"id": heard.study_ref, "study_uid": heard.study_uid}
            connection.execute(insert(studies).values(row | nothing | named))
        else:
            connection.execute(update(studies).where(studies.c.id == heard.study_ref).values(row))

    def _tell(self, connection: Connection, row: Row[Any], found: Match, now: datetime) -> None:
        """Write down the match, and tell of it when it is another one than before."""
        mine = study_orders.c.study == row.id
        tied = tuple(connection.execute(select(study_orders.c.order_id).where(mine).order_by("order_id")).scalars())
        known = (tuple(sorted(found.orders)), found.patient, found.basis, " ".join(found.reasons))
        if known == (tied, row.patient, row.basis, row.reasons):
            return
        if tied != known[0]:
            connection.execute(delete(study_orders).where(mine))
            for name in found.orders:
                connection.execute(insert(study_orders).values(study=row.id, order_id=name))
        waiting = bool(found.reasons)
        values: dict[str, Any] = {"patient": found.patient, "basis": found.basis, "reasons": known[3]}
        values |= {"waiting": waiting, "since": (row.since if row.waiting else now) if waiting else None}
        values["told"] = row.told + 1
        connection.execute(update(studies).where(studies.c.id == row.id).values(values))
        told = StudyMatched(
            study_uid=row.study_uid,
            study_ref=row.id,
            patient_ref=found.patient,
            order_refs=known[0],
            basis=found.basis,
            reasons=found.reasons,
        )
        self._outbox.add(connection, told, id=self._site_key.event_id(told.subject, row.study_uid, row.told + 1))

    def _ties(self, connection: Connection, found: Match, study: Study) -> Ties:
        orders = ((name, load(connection, "ServiceRequest", name)) for name in sorted(found.orders))
        named = [(name, present.body) for name, present in orders if present]
        token = next(iter(study.strangers)) if len(study.strangers) == 1 and not study.owners else None
        return Ties(named, found.patient, token, bool(self._dicomweb_url))

    def _save(
        self,
        connection: Connection,
        kind: str,
        name: str,
        before: Present | None,
        body: Mapping[str, Any],
        patient: str | None,
        ref: str,
        now: datetime,
    ) -> None:
        """Save what no message said field by field: its record is its own digest."""
        record = {"content": Known((((digest_of(body),),),), _ALWAYS)}
        save(
            connection,
            kind=kind,
            resource_id=name,
            before=before,
            record=record,
            body=body,
            patient=patient,
            message_ref=ref,
            now=now,
        )

    def _tokens(self, patient: PatientNow) -> dict[str, bool]:
        """The tokens of the patient's ids, True for the one that makes it this patient."""
        tokens = {self._token(each): False for each in person_identities(patient.fields.get("PID-3", ()))}
        return tokens | ({self._token(patient.identity): True} if patient.identity else {})

    def _token(self, identity: Identity) -> str:
        return self._site_key.patient_token(identity.issuer, identity.value)

    def _keys(self, order_: OrderNow) -> dict[str, Any]:
        accession = order_.accession
        token = self._site_key.accession_token(accession.issuer, accession.value) if accession else None
        return {
            "id": order_.id,
            "patient": order_.patient,
            "accession_token": token,
            "study_uid": order_.study_uid,
            "status": order_.status,
            "modality": order.modality(order_.fields),
            "scheduled": scheduled_of(order_.body),
        }


def _seen(before: Present | None) -> Mapping[str, Any]:
    """What the images last said: it stands in the resource itself."""
    return before.body if before else {"status": imaging_study.REGISTERED}


class SqlStudies:
    """Studies in a database, as the handlers see them: each call is one transaction."""

    def __init__(self, database: Database, studies_: Studies, site: Site, site_key: SiteKey) -> None:
        self._database = database
        self._studies = studies_
        self._telling = TellingAll(database, studies_, site, site_key)

    async def hear(self, heard: Heard, ref: str, now: datetime) -> None:
        """What an event told of a study; AlreadyDone when that was known."""
        await self._database.run(lambda connection: self._studies.hear(connection, heard, ref, now))

    async def prepare(self) -> None:
        """Write the Endpoint, before anything refers to it."""
        await self._database.run(self._prepare)

    async def catch_up(self) -> None:
        """Know what was here before this part was: a Task. What comes meanwhile is tied when its patient is."""
        await self._telling.run()

    def _prepare(self, connection: Connection) -> None:
        lock_feed(connection)
        self._studies.offer(connection)
