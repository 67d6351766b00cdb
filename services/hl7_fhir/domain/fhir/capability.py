"""The CapabilityStatement: what this server really does, and nothing else (R4 section 2.8)."""

from datetime import datetime

from services.hl7_fhir.domain.fhir.documents import MEDIA_TYPE, VERSION, Json, instant
from services.hl7_fhir.domain.fhir.parameters import KINDS, REFERENCE, parameters
from services.hl7_fhir.domain.fhir.search import describe

_READING = ("read", "vread", "history-instance", "history-type", "search-type")
_WRITING = ("create", "update")


def capability(base: str, version: str, started: datetime, *, writes: bool = False) -> Json:
    """The statement of the server at ``base``; ``writes`` as the site set it."""
    rest: Json = {"mode": "server", "resource": [_resource(kind, writes) for kind in KINDS]}
    if writes:
        rest["interaction"] = [{"code": "transaction"}]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(started),
        "kind": "instance",
        "software": {"name": "Causeway hl7_fhir", "version": version},
        "implementation": {"description": "Patients, orders and studies as HL7 v2 and DICOM told them", "url": base},
        "fhirVersion": VERSION,
        "format": ["json", MEDIA_TYPE, f"{MEDIA_TYPE}; fhirVersion=4.0", f"{MEDIA_TYPE}; fhirVersion=5.0"],
        "rest": [rest],
    }


def _resource(kind: str, writes: bool) -> Json:
    references = [name for name, each in parameters(kind).items() if each.type == REFERENCE]
    pointing = [
        f"{other}:{name}"
        for other in KINDS
        for name, each in parameters(other).items()
        if each.type == REFERENCE and (not each.targets or kind in each.targets)
    ]
    stated: Json = {
        "type": kind,
        "interaction": [{"code": code} for code in (*_READING, *(_WRITING if writes else ()))],
        "versioning": "versioned-update" if writes else "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": writes,
        "conditionalRead": "full-support",
        "searchInclude": [f"{kind}:{name}" for name in references],
        "searchRevInclude": pointing,
        "searchParam": describe(kind),
    }
    if kind == "ImagingStudy":
        stated["documentation"] = "Also in R5: Accept: application/fhir+json; fhirVersion=5.0"
    return {name: value for name, value in stated.items() if value != []}
