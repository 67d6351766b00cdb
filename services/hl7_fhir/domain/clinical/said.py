"""What a message says of a resource, and the FHIR body that the maps make of what is known of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from services.hl7_fhir.domain.clinical import appointment, document, order, patient, report
from services.hl7_fhir.domain.mapping.datatypes import Json
from services.hl7_fhir.domain.mapping.identity import Identity
from services.hl7_fhir.domain.mapping.rows import Fields, Made, Trace, render
from services.hl7_fhir.domain.mapping.site import Site
from services.hl7_fhir.domain.messages.message import Field, Segment

#: A name in a record for the id of the Encounter in whose course something was.
ENCOUNTER = "link:encounter"
#: ... and of the ServiceRequests that something is based on.
BASED_ON = "link:based-on"


@dataclass(frozen=True)
class Said:
    """What a message says of one resource. ``segments`` are those that were read for it."""

    kind: str
    resource_id: str
    fields: Fields = field(repr=False)
    segments: tuple[Segment, ...] = field(default=(), repr=False, compare=False)
    made: Made | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class ReportSaid:
    """A report with its observations; ``placer`` and ``filler`` find the order that it answers."""

    report: Said
    observations: tuple[Said, ...]
    placer: Identity | None = field(repr=False)
    filler: Identity | None = field(repr=False)
    accession: Identity | None = field(repr=False)


def body_of(kind: str, fields: Fields, owner: str, site: Site, made: Made | None) -> Json:
    """As ``body``; what was made of the same fields of the same patient is not made again."""
    if made is not None and made.owner == owner and made.fields == fields:
        return made.body
    return body(kind, fields, owner, site)


Build = Callable[[Json, Fields, str, Site], Json]


def body(kind: str, fields: Fields, owner: str, site: Site, trace: Trace | None = None) -> Json:
    """The resource that ``fields`` describe, of the Patient with id ``owner``, without id and meta."""
    if kind == "Patient":
        return patient.resource_of(fields, site, trace)
    if kind == "ServiceRequest":
        return order.resource_of(fields, owner, site, link_of(fields, ENCOUNTER), trace)
    elements = render(site.maps.of(kind), fields, site, trace)
    build = _BUILDS.get(kind)
    return {"resourceType": kind, **(build(elements, fields, owner, site) if build else elements)}


def link_of(fields: Fields, name: str) -> str:
    """The first id of a link, empty when there is none."""
    value = fields.get(name, ())
    return value[0][0][0] if value else ""


def linked(found: Iterable[str]) -> Field:
    """Ids as the value of a link."""
    return tuple(((one,),) for one in found)


def reference(kind: str, resource_id: str) -> Json:
    """A reference to a resource of this server."""
    return {"reference": f"{kind}/{resource_id}", "type": kind}


def _with_subject(elements: Json, fields: Fields, owner: str, _: Site) -> Json:
    visit = link_of(fields, ENCOUNTER)
    more = {"encounter": reference("Encounter", visit)} if visit else {}
    return {"subject": reference("Patient", owner), **more, **elements}


def _encounter(elements: Json, _: Fields, owner: str, __: Site) -> Json:
    return {"subject": reference("Patient", owner), **elements}


def _report(elements: Json, fields: Fields, owner: str, site: Site) -> Json:
    orders = [reference("ServiceRequest", one) for one in patient.ids(fields.get(BASED_ON, ()))]
    more = {"basedOn": orders} if orders else {}
    return report.finished({**_with_subject(elements, fields, owner, site), **more}, fields)


def _document(elements: Json, fields: Fields, owner: str, _: Site) -> Json:
    visit = link_of(fields, ENCOUNTER)
    orders = [reference("ServiceRequest", one) for one in patient.ids(fields.get(BASED_ON, ()))]
    context = {
        **({"encounter": [reference("Encounter", visit)]} if visit else {}),
        **({"related": orders} if orders else {}),
    }
    return document.finished({"subject": reference("Patient", owner), **elements}, context)


def _appointment(elements: Json, fields: Fields, owner: str, site: Site) -> Json:
    orders = [reference("ServiceRequest", one) for one in patient.ids(fields.get(BASED_ON, ()))]
    return appointment.finished(elements, fields, reference("Patient", owner), orders, site)


_BUILDS: Mapping[str, Build] = {
    "Encounter": _encounter,
    "Observation": _with_subject,
    "DiagnosticReport": _report,
    "DocumentReference": _document,
    "Appointment": _appointment,
}
