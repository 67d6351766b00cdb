"""ImagingStudy (R4 4.0.1): what the images say, and what their order and patient add (docs/conformance)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.hl7_fhir.domain.mapping.datatypes import Json, valued
from services.hl7_fhir.domain.mapping.vocabulary import DICOM_UID_SYSTEM

#: Where a study stands in its life: only what is complete is offered.
REGISTERED, AVAILABLE = "registered", "available"

#: The id of the one Endpoint: the site's DICOMweb.
ENDPOINT = "dicomweb"

_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_TOKENS = "urn:x-causeway:patient-token"

#: The elements that the images decide; the others are decided anew whenever an order or a patient changes.
OF_IMAGES = ("status", "modality", "started", "numberOfSeries", "numberOfInstances", "description", "series")


@dataclass(frozen=True)
class Ties:
    """What a study is tied to: ids of ServiceRequests with their bodies, the id of its Patient if that is known.

    ``token`` names a patient of whom only the images tell; None when they name nobody, or several.
    """

    orders: Sequence[tuple[str, Mapping[str, Any]]] = field(default=(), repr=False)
    patient: str | None = None
    token: str | None = None
    endpoint: bool = False


def resource(study_uid: str, images: Mapping[str, Any], ties: Ties) -> Json:
    """The ImagingStudy, without id and meta; ``images`` holds the elements OF_IMAGES."""
    bodies = [body for _, body in ties.orders]
    rest = valued(
        basedOn=[{"reference": f"ServiceRequest/{name}", "type": "ServiceRequest"} for name, _ in ties.orders],
        endpoint=[{"reference": f"Endpoint/{ENDPOINT}", "type": "Endpoint"}] if ties.endpoint else None,
        procedureCode=_distinct(body["code"] for body in bodies if "code" in body),
        reasonCode=_distinct(reason for body in bodies for reason in body.get("reasonCode", ())),
    )
    named = {"system": DICOM_UID_SYSTEM, "value": f"urn:oid:{study_uid}"}
    return {
        "resourceType": "ImagingStudy",
        "identifier": [named, *_distinct(number for body in bodies for number in _accessions(body))],
        "subject": subject(ties),
        **{name: images[name] for name in OF_IMAGES if name in images},
        **(rest or {}),
    }


def subject(ties: Ties) -> Json:
    """R4 demands a subject. Without a Patient it is a logical reference, or says that nobody knows."""
    if ties.patient:
        return {"reference": f"Patient/{ties.patient}", "type": "Patient"}
    if ties.token:
        return {"type": "Patient", "identifier": {"system": _TOKENS, "value": ties.token}}
    return {"extension": [{"url": _ABSENT, "valueCode": "unknown"}], "type": "Patient"}


def _accessions(body: Mapping[str, Any]) -> list[Json]:
    """The order's accession numbers: identifiers of type ACSN."""
    return [number for number in body.get("identifier", ()) if _type_of(number) == "ACSN"]


def _type_of(number: Mapping[str, Any]) -> str | None:
    return next((coding.get("code") for coding in number.get("type", {}).get("coding", ())), None)


def _distinct(values: Any) -> list[Json]:
    found: list[Json] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def endpoint(address: str, *, active: bool = True) -> Json:
    """The site's DICOMweb (RFC 3986 URL of its root) as an Endpoint, without id and meta."""
    return {
        "resourceType": "Endpoint",
        "status": "active" if active else "off",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "dicom-wado-rs",
        },
        "name": "DICOMweb of this site",
        "payloadType": [{"text": "DICOM"}],
        "payloadMimeType": ["application/dicom"],
        "address": address,
    }
