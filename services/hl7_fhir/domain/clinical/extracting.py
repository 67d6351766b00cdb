"""From segments to what is said of visits, reports, documents and appointments."""

from collections.abc import Iterable
from dataclasses import replace

from services.hl7_fhir.domain.clinical import document, report
from services.hl7_fhir.domain.clinical.order import FILLER, PLACER, OrderSaid, accession_of, number
from services.hl7_fhir.domain.clinical.record import fields_of
from services.hl7_fhir.domain.clinical.said import ENCOUNTER, ReportSaid, Said, linked
from services.hl7_fhir.domain.mapping.identity import Identity, cx_identity, ei_identity
from services.hl7_fhir.domain.mapping.issuers import filled
from services.hl7_fhir.domain.mapping.losses import Uses
from services.hl7_fhir.domain.mapping.rows import Fields
from services.hl7_fhir.domain.mapping.site import Site
from services.hl7_fhir.domain.mapping.vocabulary import words
from services.hl7_fhir.domain.messages.message import Field, Message, Segment
from shared.identity import SiteKey

#: Events after which a visit is another than before (table 0003); others leave its status as it was.
_EVENTS = words("A01 A02 A03 A04 A05 A06 A07 A11 A13 A14 A23 A27 A38")
_APPOINTMENT = frozenset(("SCH", "AIS", "AIL", "AIP", "AIG"))


def visit_of(message: Message, site: Site, key: SiteKey) -> Said | None:
    """The visit of PV1-19, else of PV1-50 or PID-18; None when nothing names it: it could never be found again."""
    visit, patient = message.one("PV1"), message.one("PID")
    if visit is None or patient is None:
        return None
    identity = _visit_identity((visit.field(19), visit.field(50), patient.field(18)), site)
    if identity is None:
        return None
    segments = (patient, visit, *(segment for segment in (message.one("PV2"),) if segment))
    fields = filled(fields_of(segments, {**site.maps.wanted("Encounter"), "PID": (18,)}), "Encounter", site)
    if message.type == "ADT" and message.trigger in _EVENTS:
        fields["EVN-1"] = (((message.trigger,),),)
    if message.type == "ADT" and message.trigger == "A13":
        fields["PV1-45"] = ((('""',),),)  # who was not discharged after all has no time of discharge
    return Said("Encounter", key.token("encounter-resource", identity.issuer, identity.value), fields, segments)


def _visit_identity(found: Iterable[Field], site: Site) -> Identity | None:
    for value in found:
        for repetition in value:
            if identity := cx_identity(repetition, site.patient_issuer):
                return identity
    return None


def in_visit(said: OrderSaid, visit: Said | None) -> OrderSaid:
    """``said`` with the visit in whose course it was ordered."""
    return replace(said, fields=_visited(said.fields, visit)) if visit else said


def _visited(fields: Fields, visit: Said | None) -> dict[str, Field]:
    return {**fields, ENCOUNTER: linked((visit.resource_id,))} if visit else dict(fields)


def reports_of(
    message: Message, site: Site, key: SiteKey, visit: Said | None, message_ref: str
) -> tuple[ReportSaid, ...]:
    """The reports of ORU^R01: one per OBR."""
    found: list[ReportSaid] = []
    taken: set[str] = set()
    for place, group in enumerate(report.groups(message.segments), 1):
        fields = filled(fields_of(group, site.maps.wanted("DiagnosticReport")), "DiagnosticReport", site)
        placer, filler = number(fields, PLACER, site), number(fields, FILLER, site)
        called: list[str | int] = [*_called(placer, filler)] or [message_ref, place]
        report_id = key.token("report-resource", *called)
        if report_id in taken:
            # Several OBR may share a number; then what was observed tells them apart.
            code = next(one for one in group if one.name == "OBR").text(4)
            report_id = key.token("report-resource", *called, code, place)
        taken.add(report_id)
        found.append(_report(report_id, group, _visited(fields, visit), site, key, (placer, filler)))
    return tuple(found)


def _called(placer: Identity | None, filler: Identity | None) -> list[str | int]:
    if filler:
        return ["FILL", filler.issuer, filler.value]
    return ["PLAC", placer.issuer, placer.value] if placer else []


def _report(
    report_id: str,
    group: list[Segment],
    fields: dict[str, Field],
    site: Site,
    key: SiteKey,
    numbers: tuple[Identity | None, Identity | None],
) -> ReportSaid:
    observed = report.observations(group)
    segments = [segment for segment, _ in observed]
    fields |= document.contents(segments, with_text=False)
    if uids := report.studies(segments):
        fields[report.STUDIES] = uids
    seen: dict[tuple[str, str], int] = {}
    results = []
    for segment, notes in observed:
        if document.is_document(segment):
            continue
        called = (segment.text(3) or segment.text(3, 2), segment.text(4))
        seen[called] = seen.get(called, 0) + 1
        observation_id = key.token("observation-resource", report_id, *called, seen[called])
        results.append(_observation(observation_id, segment, notes, fields, site))
    if results:
        fields[report.RESULTS] = linked(one.resource_id for one in results)
    said = Said("DiagnosticReport", report_id, fields, tuple(one for one in group if one.name in ("ORC", "OBR")))
    documents = tuple(one for one in segments if document.is_document(one))
    said = replace(said, segments=said.segments + documents)
    return ReportSaid(said, tuple(results), *numbers, accession_of(fields, site))


def _observation(
    observation_id: str, segment: Segment, notes: list[Segment], report_fields: dict[str, Field], site: Site
) -> Said:
    wanted = {"OBX": site.maps.wanted("Observation").get("OBX", ())}
    fields = filled(fields_of([segment], wanted), "Observation", site)
    told = tuple(repetition for note in notes for repetition in note.field(3))
    if told:
        fields["NTE-3"] = told
    if ENCOUNTER in report_fields:
        fields[ENCOUNTER] = report_fields[ENCOUNTER]
    return Said("Observation", observation_id, fields, (segment, *notes))


def note_documents(said: ReportSaid, uses: Uses) -> None:
    """Documents went into the report as a whole, notes into their observations."""
    for segment in said.report.segments:
        if segment.name == "OBX":
            uses.whole(segment, 2, 3, 5, 11)
    for one in said.observations:
        for segment in one.segments:
            if segment.name == "NTE":
                uses.whole(segment, 3)
            elif segment.name == "OBX":
                uses.whole(segment, 2, 4)


def documents_of(message: Message, site: Site, key: SiteKey, visit: Said | None, message_ref: str) -> tuple[Said, ...]:
    """The document of MDM: TXA with every OBX."""
    header = message.required("TXA")
    identity = ei_identity(header.field(12), site.order_issuer)
    called = (identity.issuer, identity.value) if identity else ("", "", message_ref)
    observed = message.all("OBX")
    fields = filled(fields_of([header], site.maps.wanted("DocumentReference")), "DocumentReference", site)
    fields |= document.contents(observed)
    segments = (header, *observed)
    return (Said("DocumentReference", key.token("document-resource", *called), _visited(fields, visit), segments),)


def appointments_of(
    message: Message, site: Site, key: SiteKey, visit: Said | None, message_ref: str
) -> tuple[Said, ...]:
    """The appointment of SIU, by the filler's id in SCH-2, else the placer's in SCH-1."""
    header = message.required("SCH")
    filler = ei_identity(header.field(2), site.order_issuer)
    placer = ei_identity(header.field(1), site.order_issuer)
    called = _called(placer, filler) or [message_ref]
    segments = tuple(segment for segment in message.segments if segment.name in _APPOINTMENT)
    fields = fields_of(segments, site.maps.wanted("Appointment"), site.maps.repeating("Appointment"))
    fields = filled(fields, "Appointment", site)
    services = tuple(repetition for one in message.all("AIS") for repetition in one.field(3))
    if services:
        fields["AIS-3"] = services
    fields["EVN-1"] = (((message.trigger,),),)
    notes = _notes_of(message.segments, "SCH")
    if notes:
        lines = ["^".join("&".join(part) for part in repetition) for note in notes for repetition in note.field(3)]
        fields["NTE-3"] = ((("\n".join(lines),),),)
        segments = (*segments, *notes)
    return (Said("Appointment", key.token("appointment-resource", *called), _visited(fields, visit), segments),)


def _notes_of(segments: Iterable[Segment], owner: str) -> list[Segment]:
    """The NTE that follow a segment called ``owner`` directly."""
    found: list[Segment] = []
    before = ""
    for segment in segments:
        if segment.name == "NTE" and before == owner:
            found.append(segment)
        elif segment.name != "NTE":
            before = segment.name
    return found
