"""The Patient that is known of PID, PD1 and NK1, by the maps; links to other records of the same person are ours."""

from collections.abc import Iterable, Mapping

from services.hl7_fhir.domain.clinical.record import Record, Site, values
from services.hl7_fhir.domain.mapping.datatypes import Json
from services.hl7_fhir.domain.mapping.rows import Fields, Trace, render
from services.hl7_fhir.domain.messages.message import Field

#: Names in a record for the ids of other Patients, by the code of R4 value set link-type.
LINKS = {"link:replaced-by": "replaced-by", "link:replaces": "replaces", "link:seealso": "seealso"}
REPLACED_BY, REPLACES, SEE_ALSO = LINKS


def wanted(site: Site) -> Mapping[str, Iterable[int]]:
    """The fields that the maps read, by segment."""
    return site.maps.wanted("Patient")


def resource(record: Record, site: Site) -> Json:
    """The Patient that ``record`` describes, without id and meta."""
    return resource_of(values(record), site)


def resource_of(fields: Fields, site: Site, trace: Trace | None = None) -> Json:
    """The Patient that ``fields`` describe: inactive when another record replaced it (R4 section 8.1.10.3)."""
    elements = render(site.maps.of("Patient"), fields, site, trace)
    links = [
        {"other": {"reference": f"Patient/{other}", "type": "Patient"}, "type": kind}
        for name, kind in LINKS.items()
        for other in ids(fields.get(name, ()))
    ]
    active = not fields.get(REPLACED_BY)
    return {"resourceType": "Patient", "active": active, **elements, **({"link": links} if links else {})}


def ids(value: Field) -> tuple[str, ...]:
    """The ids that a field of links holds."""
    return tuple(repetition[0][0] for repetition in value)


def as_field(found: Iterable[str]) -> Field:
    """Ids as a field of links."""
    return tuple(((one,),) for one in found)
