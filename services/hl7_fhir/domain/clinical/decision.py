"""What a message does: to which patient, visit, orders and reports, and since when it was so."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property

from services.hl7_fhir.domain.clinical import extracting, merging
from services.hl7_fhir.domain.clinical.merging import Link, Merge, Person
from services.hl7_fhir.domain.clinical.order import OrderSaid, orders_of
from services.hl7_fhir.domain.clinical.provenance import provenance_of
from services.hl7_fhir.domain.clinical.record import Site, fields_of
from services.hl7_fhir.domain.clinical.said import ReportSaid, Said, body
from services.hl7_fhir.domain.mapping import datatypes, parties
from services.hl7_fhir.domain.mapping.identity import Identity, patient_identity
from services.hl7_fhir.domain.mapping.issuers import filled
from services.hl7_fhir.domain.mapping.losses import Uses, losses
from services.hl7_fhir.domain.mapping.maps import KEPT
from services.hl7_fhir.domain.mapping.parties import PartySaid
from services.hl7_fhir.domain.mapping.rows import Fields, Made, Trace
from services.hl7_fhir.domain.messages.checking import check
from services.hl7_fhir.domain.messages.message import Message, Segment, read
from shared.identity import SiteKey

#: A sender's clock may run ahead by this much; a later time would shut out every later message.
CLOCK_TOLERANCE = timedelta(hours=1)


class Occasion(Enum):
    """Why a message speaks of a patient."""

    REGISTRATION = "registration"
    UPDATE = "update"
    ORDER = "order"
    RESULT = "result"
    DOCUMENT = "document"
    APPOINTMENT = "appointment"
    MERGE = "merge"
    LINK = "link"


@dataclass(frozen=True)
class PatientSaid:
    """What a message says of its patient. ``identity`` is None when nothing may match."""

    resource_id: str
    identity: Identity | None = field(repr=False)
    fields: Fields = field(repr=False)
    made: Made | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Decision:
    """What to do with a readable message; nothing but keeping it when ``occasion`` is None (trigger not mapped).

    ``losses`` names the fields that were valued and went nowhere.
    """

    occasion: Occasion | None
    said: datetime
    patient: PatientSaid | None = None
    orders: tuple[OrderSaid, ...] = ()
    flags: tuple[str, ...] = ()
    visit: Said | None = None
    reports: tuple[ReportSaid, ...] = ()
    documents: tuple[Said, ...] = ()
    appointments: tuple[Said, ...] = ()
    parties: tuple[PartySaid, ...] = ()
    merges: tuple[Merge, ...] = ()
    links: tuple[Link, ...] = ()
    provenance: Said | None = None
    losses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """Reads messages as this site does; ``codec`` is that of messages whose MSH-18 is empty."""

    site: Site
    site_key: SiteKey
    codec: str = "utf-8"

    @cached_property
    def _named_site(self) -> Site:
        return replace(self.site, key=self.site_key)

    def decide(self, content: bytes, message_ref: str, received: datetime) -> Decision:
        """What ``content`` does; a Refused when it cannot be taken."""
        message = read(content, self.codec)
        check(message)
        rule = TRIGGERS.get((message.type, message.trigger))
        if rule is None:
            return Decision(None, received)
        said, flags = self._said(message, received)
        if message.one("PID") is None:
            return Decision(None, said, flags=(*flags, "patient-missing"))
        return _Reading(message, message_ref, self._named_site, self.site_key).decided(rule, said, flags)

    def _said(self, message: Message, received: datetime) -> tuple[datetime, tuple[str, ...]]:
        """EVN-2, else MSH-7, else the time of receipt, which also replaces what lies in the future."""
        event = message.one("EVN")
        for sent in (event.text(2) if event else "", message.header.text(7)):
            when = datatypes.moment(sent, self.site.zone)
            if when is not None and when <= received + CLOCK_TOLERANCE:
                return when, ()
            if when is not None:
                return received, ("time-in-the-future",)
        return received, ("time-missing",)


class _Reading:
    """One message: what it says of each resource, and what of it was used."""

    def __init__(self, message: Message, message_ref: str, site: Site, site_key: SiteKey) -> None:
        self.message = message
        self.ref = message_ref
        self.site = site
        self.key = site_key
        self.uses = Uses()
        self.referred: list[PartySaid] = []

    def decided(self, rule: "Rule", said: datetime, flags: tuple[str, ...]) -> Decision:
        decision = Decision(rule.occasion, said, flags=flags, patient=self._patient())
        if rule.occasion in (Occasion.MERGE, Occasion.LINK):
            decision = self._persons(rule, decision)
        else:
            decision = self._resources(rule, decision)
        source = provenance_of(self.message, self.site, self.key, self.ref) if self.site.provenance else None
        source = self.used(source, "") if source else None
        known = {(party.kind, party.resource_id): party for party in self.referred}
        lost = losses(self.message, self.uses)
        return replace(decision, parties=tuple(known.values()), provenance=source, losses=lost)

    def _persons(self, rule: "Rule", decision: Decision) -> Decision:
        if rule.occasion is Occasion.LINK:
            links = merging.links(self.message, self.site, self._named, rule.linked)
            self._read_of(person for link in links for person in (link.one, link.other))
            return replace(decision, links=links)
        merges = merging.merges(self.message, self.site, self._named)
        self._read_of(merge.survivor for merge in merges)
        for segment in self.message.all("MRG"):
            self.uses.whole(segment, 1, 4, 7)
        return replace(decision, merges=merges)

    def _read_of(self, persons: Iterable[Person]) -> None:
        for person in persons:
            self.made(Said("Patient", person.resource_id, person.fields, person.segments), person.resource_id)

    def _resources(self, rule: "Rule", decision: Decision) -> Decision:
        patient = decision.patient.resource_id if decision.patient else ""
        visit = extracting.visit_of(self.message, self.site, self.key)
        if visit is not None:
            visit = self.used(visit, patient)
        more = rule.more(self, visit, patient)
        return replace(
            decision,
            visit=visit,
            orders=more.orders,
            reports=more.reports,
            documents=more.documents,
            appointments=more.appointments,
        )

    def _patient(self) -> PatientSaid:
        segment = self.message.required("PID")
        identity = patient_identity(segment.field(3), segment.field(2), self.site.patient_issuer)
        repeating = self.site.maps.repeating("Patient")
        segments = (segment, *(one for one in self.message.segments if one.name not in ("PID", "MRG")))
        fields = filled(fields_of(segments, self.site.maps.wanted("Patient"), repeating), "Patient", self.site)
        patient_id = self._named(identity, 1)
        made = self.made(Said("Patient", patient_id, fields, segments), patient_id)
        return PatientSaid(patient_id, identity, fields, made)

    def _named(self, identity: Identity | None, number: int) -> str:
        """The id of a patient; one that nothing may match has an id of this message's own."""
        named: tuple[str | int, ...] = (identity.issuer, identity.value) if identity else ("", "", self.ref)
        if not identity and number > 1:
            named = (*named, number)
        return self.key.token("patient-resource", *named)

    def kept(self, target: str, segments: Iterable[Segment]) -> None:
        """Note what is kept of ``segments`` although no row reads it."""
        for segment in segments:
            self.uses.whole(segment, *KEPT[target].get(segment.name, ()))

    def used(self, said: Said, patient: str) -> Said:
        """``said`` with what the maps make of it."""
        return replace(said, made=self.made(said, patient))

    def made(self, said: Said, patient: str) -> Made:
        """What the maps make of ``said``; notes what they read, and the parties that it names."""
        trace = Trace()
        made = Made(said.fields, patient, body(said.kind, said.fields, patient, self.site, trace))
        self.uses.traced(said.segments, trace, self.site.maps.repeating(said.kind))
        self.referred += parties.said_of(trace.referred, self.site)
        return made


@dataclass(frozen=True)
class Rule:
    """What a trigger is about, and what else than patient and visit it speaks of."""

    occasion: Occasion
    more: Callable[[_Reading, Said | None, str], Decision] = lambda *_: Decision(None, datetime.min)
    linked: bool = True


def _orders(reading: _Reading, visit: Said | None, patient: str) -> Decision:
    found = []
    for said in orders_of(reading.message, reading.site):
        visited = extracting.in_visit(said, visit)
        made = reading.made(Said("ServiceRequest", "", visited.fields, said.segments), patient)
        found.append(replace(visited, made=made))
        reading.kept("ServiceRequest", said.segments)
    return Decision(None, datetime.min, orders=tuple(found))


def _results(reading: _Reading, visit: Said | None, patient: str) -> Decision:
    found = []
    for said in extracting.reports_of(reading.message, reading.site, reading.key, visit, reading.ref):
        observations = tuple(reading.used(one, patient) for one in said.observations)
        found.append(replace(said, report=reading.used(said.report, patient), observations=observations))
        extracting.note_documents(said, reading.uses)
    return Decision(None, datetime.min, reports=tuple(found))


def _documents(reading: _Reading, visit: Said | None, patient: str) -> Decision:
    found = extracting.documents_of(reading.message, reading.site, reading.key, visit, reading.ref)
    for said in found:
        reading.kept("DocumentReference", said.segments)
        for segment in said.segments:
            if segment.name == "OBX":
                reading.uses.whole(segment, 2, 3, 5)
    return Decision(None, datetime.min, documents=tuple(reading.used(said, patient) for said in found))


def _appointments(reading: _Reading, visit: Said | None, patient: str) -> Decision:
    found = extracting.appointments_of(reading.message, reading.site, reading.key, visit, reading.ref)
    for said in found:
        reading.kept("Appointment", said.segments)
    return Decision(None, datetime.min, appointments=tuple(reading.used(said, patient) for said in found))


_REGISTRATION, _UPDATE = Rule(Occasion.REGISTRATION), Rule(Occasion.UPDATE)
_ORDER, _RESULT = Rule(Occasion.ORDER, _orders), Rule(Occasion.RESULT, _results)
_DOCUMENT, _APPOINTMENT = Rule(Occasion.DOCUMENT, _documents), Rule(Occasion.APPOINTMENT, _appointments)

#: The triggers that are mapped, by MSH-9; every other one is kept and acknowledged.
TRIGGERS: dict[tuple[str, str], Rule] = {
    **{("ADT", trigger): _REGISTRATION for trigger in ("A01", "A04", "A05", "A28")},
    **{("ADT", trigger): _UPDATE for trigger in ("A02", "A03", "A06", "A07", "A08", "A11", "A12", "A13", "A23", "A31")},
    ("ADT", "A38"): _UPDATE,
    **{("ADT", trigger): Rule(Occasion.MERGE) for trigger in ("A34", "A40", "A47")},
    ("ADT", "A24"): Rule(Occasion.LINK),
    ("ADT", "A37"): Rule(Occasion.LINK, linked=False),
    ("ORM", "O01"): _ORDER,
    ("OMG", "O19"): _ORDER,
    ("OMI", "O23"): _ORDER,
    ("ORU", "R01"): _RESULT,
    ("MDM", "T02"): _DOCUMENT,
    **{("SIU", trigger): _APPOINTMENT for trigger in ("S12", "S13", "S14", "S15")},
}
