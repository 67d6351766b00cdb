"""Search parameters of FHIR R4 (4.0.1) as data: what each kind of resource is found by.

A row is (number, name, type, where in the resource, targets). ``number`` names the parameter in the tables of
the index, so it is never given to another; rows with the same number share one index and differ in their targets. The
place is one path or more, alternatives between blanks; ``[name=value]`` keeps only elements with that value. Names,
types and paths are those of the search parameters of R4, the definitions under https://hl7.org/fhir/R4/searchparameter-registry.html.
"""

from dataclasses import dataclass
from functools import cache

TOKEN, REFERENCE, DATE, STRING = "token", "reference", "date", "string"

_PEOPLE = "Practitioner PractitionerRole Organization"
_ACTORS = "Patient Practitioner PractitionerRole RelatedPerson Device HealthcareService Location"
_HL7 = "http://hl7.org/fhir/"

#: (number within the kind, name, type, paths, and targets of a reference or the system of a code).
_Row = tuple[int, str, str, str, str]

#: Another kind goes to the end: the place of a kind is part of the numbers of its parameters.
_TABLE: dict[str, tuple[_Row, ...]] = {
    "Patient": (
        (1, "identifier", TOKEN, "identifier", ""),
        (2, "active", TOKEN, "active", ""),
        (3, "gender", TOKEN, "gender", _HL7 + "administrative-gender"),
        (4, "birthdate", DATE, "birthDate", ""),
        (5, "family", STRING, "name.family", ""),
        (6, "given", STRING, "name.given", ""),
        (7, "name", STRING, "name.prefix name.suffix name.text", "5 6"),
        (8, "telecom", TOKEN, "telecom.value", ""),
        (9, "phone", TOKEN, "telecom[system=phone].value", ""),
        (10, "email", TOKEN, "telecom[system=email].value", ""),
        (11, "address-city", STRING, "address.city", ""),
        (12, "address-postalcode", STRING, "address.postalCode", ""),
        (13, "death-date", DATE, "deceasedDateTime", ""),
        (14, "organization", REFERENCE, "managingOrganization", "Organization"),
        (15, "general-practitioner", REFERENCE, "generalPractitioner", _PEOPLE),
        (16, "link", REFERENCE, "link.other", "Patient RelatedPerson"),
    ),
    "Encounter": (
        (1, "identifier", TOKEN, "identifier", ""),
        (2, "status", TOKEN, "status", _HL7 + "encounter-status"),
        (3, "class", TOKEN, "class", ""),
        (4, "type", TOKEN, "type", ""),
        (5, "subject", REFERENCE, "subject", "Patient Group"),
        (5, "patient", REFERENCE, "subject", "Patient"),
        (6, "date", DATE, "period", "sort"),
        (7, "based-on", REFERENCE, "basedOn", "ServiceRequest"),
        (8, "appointment", REFERENCE, "appointment", "Appointment"),
        (9, "location", REFERENCE, "location.location", "Location"),
        (10, "participant", REFERENCE, "participant.individual", "Practitioner PractitionerRole RelatedPerson"),
        (10, "practitioner", REFERENCE, "participant.individual", "Practitioner"),
        (11, "service-provider", REFERENCE, "serviceProvider", "Organization"),
        (12, "part-of", REFERENCE, "partOf", "Encounter"),
    ),
    "Practitioner": (
        (1, "identifier", TOKEN, "identifier", ""),
        (2, "active", TOKEN, "active", ""),
        (3, "family", STRING, "name.family", ""),
        (4, "given", STRING, "name.given", ""),
        (5, "name", STRING, "name.prefix name.suffix name.text", "3 4"),
        (6, "telecom", TOKEN, "telecom.value", ""),
    ),
    "Organization": (
        (1, "identifier", TOKEN, "identifier", ""),
        (2, "active", TOKEN, "active", ""),
        (3, "name", STRING, "name alias", ""),
        (4, "type", TOKEN, "type", ""),
        (5, "partof", REFERENCE, "partOf", "Organization"),
        (6, "endpoint", REFERENCE, "endpoint", "Endpoint"),
    ),
    "Location": (
        (1, "identifier", TOKEN, "identifier", ""),
        (2, "status", TOKEN, "status", _HL7 + "location-status"),
        (3, "name", STRING, "name alias", ""),
        (4, "type", TOKEN, "type", ""),
        (5, "organization", REFERENCE, "managingOrganization", "Organization"),
        (6, "partof", REFERENCE, "partOf", "Location"),
        (7, "endpoint", REFERENCE, "endpoint", "Endpoint"),
    ),
    "ServiceRequest": (
        (1, "identifier", TOKEN, "identifier", ""),
        (2, "status", TOKEN, "status", _HL7 + "request-status"),
        (3, "intent", TOKEN, "intent", _HL7 + "request-intent"),
        (4, "priority", TOKEN, "priority", _HL7 + "request-priority"),
        (5, "category", TOKEN, "category", ""),
        (6, "code", TOKEN, "code", ""),
        (7, "subject", REFERENCE, "subject", "Patient Group Location Device"),
        (7, "patient", REFERENCE, "subject", "Patient"),
        (8, "encounter", REFERENCE, "encounter", "Encounter"),
        (9, "authored", DATE, "authoredOn", "sort"),
        (10, "occurrence", DATE, "occurrenceDateTime occurrencePeriod occurrenceTiming", "sort"),
        (11, "requester", REFERENCE, "requester", _PEOPLE + " Patient RelatedPerson Device"),
        (12, "performer", REFERENCE, "performer", _PEOPLE + " Patient RelatedPerson Device CareTeam HealthcareService"),
        (13, "performer-type", TOKEN, "performerType", ""),
        (14, "requisition", TOKEN, "requisition", ""),
        (15, "body-site", TOKEN, "bodySite", ""),
        (16, "based-on", REFERENCE, "basedOn", "CarePlan ServiceRequest MedicationRequest"),
        (17, "replaces", REFERENCE, "replaces", "ServiceRequest"),
    ),
    "Appointment": (
        (1, "identifier", TOKEN, "identifier", ""),
        (2, "status", TOKEN, "status", _HL7 + "appointmentstatus"),
        (3, "actor", REFERENCE, "participant.actor", _ACTORS),
        (3, "patient", REFERENCE, "participant.actor", "Patient"),
        (3, "practitioner", REFERENCE, "participant.actor", "Practitioner"),
        (3, "location", REFERENCE, "participant.actor", "Location"),
        (4, "date", DATE, "start", "sort"),
        (5, "based-on", REFERENCE, "basedOn", "ServiceRequest"),
        (6, "service-type", TOKEN, "serviceType", ""),
        (7, "appointment-type", TOKEN, "appointmentType", ""),
        (8, "part-status", TOKEN, "participant.status", _HL7 + "participationstatus"),
    ),
    "DiagnosticReport": (
        (1, "identifier", TOKEN, "identifier", ""),
        (2, "status", TOKEN, "status", _HL7 + "diagnostic-report-status"),
        (3, "category", TOKEN, "category", ""),
        (4, "code", TOKEN, "code", ""),
        (5, "subject", REFERENCE, "subject", "Patient Group Device Location"),
        (5, "patient", REFERENCE, "subject", "Patient"),
        (6, "encounter", REFERENCE, "encounter", "Encounter"),
        (7, "date", DATE, "effectiveDateTime effectivePeriod", "sort"),
        (8, "issued", DATE, "issued", "sort"),
        (9, "based-on", REFERENCE, "basedOn", "CarePlan MedicationRequest NutritionOrder ServiceRequest"),
        (10, "performer", REFERENCE, "performer", _PEOPLE + " CareTeam"),
        (11, "results-interpreter", REFERENCE, "resultsInterpreter", _PEOPLE + " CareTeam"),
        (12, "result", REFERENCE, "result", "Observation"),
        (13, "conclusion", TOKEN, "conclusionCode", ""),
    ),
    "Observation": (
        (1, "identifier", TOKEN, "identifier", ""),
        (2, "status", TOKEN, "status", _HL7 + "observation-status"),
        (3, "category", TOKEN, "category", ""),
        (4, "code", TOKEN, "code", ""),
        (5, "subject", REFERENCE, "subject", "Patient Group Device Location"),
        (5, "patient", REFERENCE, "subject", "Patient"),
        (6, "encounter", REFERENCE, "encounter", "Encounter"),
        (7, "date", DATE, "effectiveDateTime effectivePeriod effectiveInstant effectiveTiming", "sort"),
        (8, "based-on", REFERENCE, "basedOn", "CarePlan ServiceRequest MedicationRequest"),
        (9, "performer", REFERENCE, "performer", _PEOPLE + " CareTeam Patient RelatedPerson"),
        (10, "derived-from", REFERENCE, "derivedFrom", "DocumentReference ImagingStudy Media Observation"),
        (11, "has-member", REFERENCE, "hasMember", "Observation"),
        (12, "value-concept", TOKEN, "valueCodeableConcept", ""),
        (13, "part-of", REFERENCE, "partOf", "ImagingStudy Procedure"),
    ),
    "DocumentReference": (
        (1, "identifier", TOKEN, "masterIdentifier identifier", ""),
        (2, "status", TOKEN, "status", _HL7 + "document-reference-status"),
        (3, "type", TOKEN, "type", ""),
        (4, "category", TOKEN, "category", ""),
        (5, "subject", REFERENCE, "subject", "Patient Practitioner Group Device"),
        (5, "patient", REFERENCE, "subject", "Patient"),
        (6, "date", DATE, "date", "sort"),
        (7, "author", REFERENCE, "author", _PEOPLE + " Device Patient RelatedPerson"),
        (8, "encounter", REFERENCE, "context.encounter", "Encounter EpisodeOfCare"),
        (9, "related", REFERENCE, "context.related", ""),
        (10, "contenttype", TOKEN, "content.attachment.contentType", ""),
        (11, "period", DATE, "context.period", ""),
        (12, "relatesto", REFERENCE, "relatesTo.target", "DocumentReference"),
    ),
    "ImagingStudy": (
        (1, "identifier", TOKEN, "identifier", ""),
        (2, "status", TOKEN, "status", _HL7 + "imagingstudy-status"),
        (3, "modality", TOKEN, "modality series.modality", ""),
        (4, "subject", REFERENCE, "subject", "Patient Device Group"),
        (4, "patient", REFERENCE, "subject", "Patient"),
        (5, "started", DATE, "started", "sort"),
        (6, "basedon", REFERENCE, "basedOn", "CarePlan ServiceRequest Appointment AppointmentResponse Task"),
        (7, "endpoint", REFERENCE, "endpoint series.endpoint", "Endpoint"),
        (8, "encounter", REFERENCE, "encounter", "Encounter"),
        (9, "series", TOKEN, "series.uid", ""),
        (10, "instance", TOKEN, "series.instance.uid", ""),
        (11, "dicom-class", TOKEN, "series.instance.sopClass", ""),
        (12, "bodysite", TOKEN, "series.bodySite", ""),
        (13, "performer", REFERENCE, "series.performer.actor", _PEOPLE + " CareTeam Patient Device RelatedPerson"),
        (14, "referrer", REFERENCE, "referrer", "Practitioner PractitionerRole"),
        (15, "interpreter", REFERENCE, "interpreter", "Practitioner PractitionerRole"),
        (16, "reason", TOKEN, "reasonCode", ""),
    ),
    "Task": (
        (1, "identifier", TOKEN, "identifier", ""),
        (2, "status", TOKEN, "status", _HL7 + "task-status"),
        (3, "intent", TOKEN, "intent", _HL7 + "task-intent"),
        (4, "priority", TOKEN, "priority", _HL7 + "request-priority"),
        (5, "code", TOKEN, "code", ""),
        (6, "business-status", TOKEN, "businessStatus", ""),
        (7, "subject", REFERENCE, "for", ""),
        (7, "patient", REFERENCE, "for", "Patient"),
        (8, "encounter", REFERENCE, "encounter", "Encounter"),
        (9, "based-on", REFERENCE, "basedOn", ""),
        (10, "focus", REFERENCE, "focus", ""),
        (11, "owner", REFERENCE, "owner", _PEOPLE + " CareTeam HealthcareService Patient Device RelatedPerson"),
        (12, "requester", REFERENCE, "requester", _PEOPLE + " Patient Device RelatedPerson"),
        (13, "performer", TOKEN, "performerType", ""),
        (14, "group-identifier", TOKEN, "groupIdentifier", ""),
        (15, "authored-on", DATE, "authoredOn", "sort"),
        (16, "modified", DATE, "lastModified", "sort"),
        (17, "period", DATE, "executionPeriod", "sort"),
        (18, "part-of", REFERENCE, "partOf", "Task"),
    ),
    "Endpoint": (
        (1, "identifier", TOKEN, "identifier", ""),
        (2, "status", TOKEN, "status", _HL7 + "endpoint-status"),
        (3, "name", STRING, "name", ""),
        (4, "connection-type", TOKEN, "connectionType", ""),
        (5, "payload-type", TOKEN, "payloadType", ""),
        (6, "organization", REFERENCE, "managingOrganization", "Organization"),
    ),
    "Provenance": (
        (1, "target", REFERENCE, "target", ""),
        (1, "patient", REFERENCE, "target", "Patient"),
        (2, "agent", REFERENCE, "agent.who", _PEOPLE + " Patient RelatedPerson Device"),
        (3, "agent-type", TOKEN, "agent.type", ""),
        (4, "entity", REFERENCE, "entity.what", ""),
        (5, "recorded", DATE, "recorded", "sort"),
        (6, "when", DATE, "occurredDateTime", ""),
    ),
}  # fmt: skip

KINDS = tuple(_TABLE)
_STEP = 200
#: Added to a reference's number: the identifier that the reference names its target by (``:identifier``).
LOGICAL = 100


@dataclass(frozen=True)
class Parameter:
    """One search parameter of one kind.

    ``number`` is unique over all kinds and stable; ``searched`` are the numbers whose rows are looked at. ``system``
    is that of an element of type code. References point to ``targets``, to anything when there are none.
    """

    kind: str
    name: str
    type: str
    number: int
    paths: tuple[str, ...]
    targets: tuple[str, ...] = ()
    system: str = ""
    sortable: bool = False
    also: tuple[int, ...] = ()

    @property
    def searched(self) -> tuple[int, ...]:
        """The numbers under which its values are kept."""
        return (*self.also, self.number)

    @property
    def bit(self) -> int:
        """Its place in the mask of the parameters that a resource has values for."""
        mask = 0
        for number in self.searched:
            mask |= 1 << (number % _STEP)
        return mask


def _parameter(kind: str, row: _Row) -> Parameter:
    within, name, sort, paths, rest = row
    base = _STEP * KINDS.index(kind)
    return Parameter(
        kind=kind,
        name=name,
        type=sort,
        number=base + within,
        paths=tuple(paths.split()),
        targets=tuple(rest.split()) if sort == REFERENCE else (),
        system=rest if sort == TOKEN else "",
        sortable=rest == "sort",
        also=tuple(base + int(each) for each in rest.split()) if sort == STRING else (),
    )


@cache
def parameters(kind: str) -> dict[str, Parameter]:
    """The parameters of ``kind`` by name; KeyError when it is not served."""
    return {row[1]: _parameter(kind, row) for row in _TABLE[kind]}


@cache
def indexed(kind: str) -> tuple[Parameter, ...]:
    """The parameters of ``kind``, one for each number."""
    found: dict[int, Parameter] = {}
    for parameter in parameters(kind).values():
        found.setdefault(parameter.number, parameter)
    return tuple(found.values())
