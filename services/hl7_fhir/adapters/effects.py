"""What one message changes: patients, visits, orders, reports and whom they name, and the events that tell of it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from contracts.events import PatientRegistered, PatientUpdated
from services.hl7_fhir.adapters.announcing import Outbox as Outbox
from services.hl7_fhir.adapters.announcing import Telling
from services.hl7_fhir.adapters.following import Follower
from services.hl7_fhir.adapters.merges import Merges
from services.hl7_fhir.adapters.numbers import Numbers
from services.hl7_fhir.adapters.patients import Applied, Patients
from services.hl7_fhir.adapters.resources import Change, Present
from services.hl7_fhir.adapters.shelf import Key, Shelf
from services.hl7_fhir.domain.clinical import order, provenance, record
from services.hl7_fhir.domain.clinical.decision import Decision, Occasion
from services.hl7_fhir.domain.clinical.order import OrderSaid
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.clinical.said import BASED_ON, ReportSaid, Said, body, body_of, linked
from services.hl7_fhir.domain.intake.arrival import Arrival
from services.hl7_fhir.domain.mapping.identity import ei_identity
from services.hl7_fhir.domain.mapping.parties import PartySaid
from shared.identity import SiteKey


class Effects:
    """What one message changes, in the transaction of ``connection``, which may hold other messages' effects too."""

    def __init__(
        self,
        connection: Connection,
        outbox: Outbox,
        site: Site,
        site_key: SiteKey,
        arrival: Arrival,
        decision: Decision,
        followers: Sequence[Follower] = (),
        now: datetime | None = None,
    ) -> None:
        """``now`` is when versions are written, which is what readers look for what is new by; default: on receipt."""
        written = replace(arrival, received=now or arrival.received)
        self._site = site if site.key else replace(site, key=site_key)
        self._site_key = site_key
        self._arrival = arrival
        self._decision = decision
        self._shelf = Shelf(connection, arrival.ref, written.received)
        self._numbers = Numbers(connection)
        self._telling = Telling(connection, outbox, self._site, site_key, written, followers)
        self._patients = Patients(self._shelf, self._site, self._telling)
        self._merges = Merges(connection, self._shelf, self._patients, self._telling, decision.said)

    def apply(self) -> tuple[str, ...]:
        """Change what the message speaks of, queue the events; flags for what a person may want to look at."""
        if self._decision.patient is None:
            return ()
        self._prepare()
        for party in self._decision.parties:
            self._apply_party(party)
        flags = self._merges.apply(self._decision.merges, self._decision.links)
        if not self._decision.merges and not self._decision.links:
            flags += self._apply_all()
        self._apply_provenance()
        self._shelf.flush()
        return tuple(dict.fromkeys(flags))

    def _apply_all(self) -> tuple[str, ...]:
        patient, flags = self._apply_patient()
        if self._decision.visit:
            flags += self._apply(self._decision.visit, patient)
        for number, said in enumerate(self._decision.orders, 1):
            flags += self._apply_order(said, patient, number)
        for report in self._decision.reports:
            flags += self._apply_report(report, patient)
        for one in (*self._decision.documents, *self._decision.appointments):
            flags += self._apply(self._with_order(one), patient)
        return flags

    def _prepare(self) -> None:
        """Read everything that the message names in two statements: numbers of orders, then resources."""
        wanted: list[Key] = [("Patient", self._decision.patient.resource_id)] if self._decision.patient else []
        wanted += [(party.kind, party.resource_id) for party in self._decision.parties]
        named = [
            self._decision.provenance,
            self._decision.visit,
            *self._decision.documents,
            *self._decision.appointments,
        ]
        for report in self._decision.reports:
            named += [report.report, *report.observations]
        wanted += [(one.kind, one.resource_id) for one in named if one]
        for number, said in enumerate(self._decision.orders, 1):
            wanted.append(("ServiceRequest", self._order_id(said, number)))
        for merge in self._decision.merges:
            wanted += [("Patient", merge.survivor.resource_id), ("Patient", merge.merged.resource_id)]
        self._shelf.fetch(wanted)

    def _apply_patient(self) -> tuple[Applied, tuple[str, ...]]:
        said = self._decision.patient
        if said is None:
            raise TypeError("a message that is not mapped has no effects")
        applied = self._patients.apply(said.resource_id, said.fields, self._decision.said, said.made)
        self._telling.patient(self._patient_event(applied.change), applied.id, applied.identity)
        flags = applied.flags if said.identity else ("patient-not-identified", *applied.flags)
        return applied, flags

    def _patient_event(self, change: Change) -> type[PatientRegistered] | type[PatientUpdated] | None:
        registered = self._decision.occasion is Occasion.REGISTRATION
        if change is Change.CREATED or (registered and change is not Change.STALE):
            return PatientRegistered
        return PatientUpdated if change is Change.CHANGED else None

    def _apply_order(self, said: OrderSaid, patient: Applied, number: int) -> tuple[str, ...]:
        known_id = self._numbers.find(said.placer, said.filler, said.accession)
        if known_id is None and not said.touches:
            return ("order-unknown",)
        order_id = self._order_id(said, number)
        before = self._shelf.present("ServiceRequest", order_id)
        owner = self._owner(before, patient)
        known = order.updated(before.record if before else {}, said, self._decision.said)
        fields = record.values(known)
        made = body_of("ServiceRequest", fields, owner, self._site, said.made)
        change = self._shelf.put("ServiceRequest", order_id, known, made, owner)
        self._numbers.remember(order_id, said.placer, said.filler, said.accession)
        if change is not Change.STALE:  # not every field that followers read is one of the resource
            is_seen = change in (Change.CREATED, Change.CHANGED)
            fact = order.fact(before.body["status"] if before else None, made["status"]) if is_seen else None
            owner_is = patient.identity if owner == patient.id else None
            owner_now = self._shelf.present("Patient", owner)
            of_owner = record.values(owner_now.record) if owner_now else None
            self._telling.order(fact, order_id, owner, owner_is, fields, made, number, of_owner)
        moved = before is not None and before.patient != patient.id
        return ("order-of-another-patient",) if moved else ()

    def _order_id(self, said: OrderSaid, number: int) -> str:
        known = self._numbers.find(said.placer, said.filler, said.accession)
        if known:
            return known
        numbers = [
            part
            for kind, found in (("PLAC", said.placer), ("FILL", said.filler), ("ACSN", said.accession))
            if found
            for part in (kind, found.issuer, found.value)
        ]
        return self._site_key.token("order-resource", *(numbers or (self._arrival.ref, number)))

    def _apply_report(self, said: ReportSaid, patient: Applied) -> tuple[str, ...]:
        order_id = self._numbers.find(said.placer, said.filler, said.accession)
        flags: tuple[str, ...] = () if order_id else ("report-without-order",)
        for one in (*said.observations, said.report):
            flags += self._apply(_based_on(one, [order_id]) if one is said.report else one, patient)
        return flags

    def _with_order(self, said: Said) -> Said:
        """The orders that SCH-26 and SCH-27 or, for a document, TXA-14 and TXA-15 name."""
        names = {"Appointment": ("SCH-26", "SCH-27"), "DocumentReference": ("TXA-14", "TXA-15")}[said.kind]
        placer, filler = (ei_identity(said.fields.get(name, ()), self._site.order_issuer) for name in names)
        return _based_on(said, [self._numbers.find(placer, filler, None)])

    def _apply(self, said: Said, patient: Applied) -> tuple[str, ...]:
        before = self._shelf.present(said.kind, said.resource_id)
        owner = self._owner(before, patient)
        known = record.merge(before.record if before else {}, said.fields, self._decision.said)
        made = body_of(said.kind, record.values(known), owner, self._site, said.made)
        self._shelf.put(said.kind, said.resource_id, known, made, owner)
        moved = before is not None and before.patient != patient.id
        return (f"{said.kind.lower()}-of-another-patient",) if moved else ()

    def _apply_party(self, said: PartySaid) -> None:
        """A party that is named as before is left as it is: every message names several."""
        before = self._shelf.present(said.kind, said.resource_id)
        if before and all(
            name in before.record and before.record[name].value == said.fields[name] for name in said.fields
        ):
            return
        known = record.merge(before.record if before else {}, said.fields, self._decision.said)
        self._shelf.put(said.kind, said.resource_id, known, body(said.kind, record.values(known), "", self._site), None)

    def _apply_provenance(self) -> None:
        """Say where the new versions come from."""
        said = self._decision.provenance
        if said is None or said.made is None or not self._shelf.changed:
            return
        made = provenance.finished(said.made.body, self._shelf.changed, self._arrival.ref, self._arrival.received)
        known = record.merge({}, said.fields, self._decision.said)
        self._shelf.put(said.kind, said.resource_id, known, made, None)

    def _owner(self, before: Present | None, patient: Applied) -> str:
        """An older message does not take a resource away from its patient."""
        if before and before.patient and any(one.said > self._decision.said for one in before.record.values()):
            return before.patient
        return patient.id


def _based_on(said: Said, orders: Iterable[str | None]) -> Said:
    found = [one for one in orders if one]
    return replace(said, fields={**said.fields, BASED_ON: linked(found)}) if found else said
