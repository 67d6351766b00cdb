"""Parts and versions of resources as a client asks for them: _summary, _elements, R5 (R4 sections 3.1.1.5.7 and .8)."""

import re
from dataclasses import dataclass

from services.hl7_fhir.domain.fhir.documents import Json, Stored
from services.hl7_fhir.domain.fhir.r5 import imaging_study

R4, R5 = "4.0", "5.0"
_TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = frozenset(("resourceType", "id", "meta", "implicitRules"))
_PERSON = "identifier active name telecom address gender birthDate"

#: Elements of the summary, by the structure definitions of 4.0.1; a name without its type stands for value[x].
_SUMMARY: dict[str, str] = {
    "Patient": _PERSON + " deceased managingOrganization link",
    "Practitioner": _PERSON,
    "Organization": "identifier active type name partOf",
    "Location": "identifier status operationalStatus name description mode type physicalType managingOrganization",
    "Encounter": "identifier status class type serviceType subject episodeOfCare participant appointment reasonCode "
    "reasonReference diagnosis",
    "ServiceRequest": "identifier instantiatesCanonical instantiatesUri basedOn replaces requisition status intent "
    "category priority doNotPerform code orderDetail quantity subject encounter occurrence asNeeded authoredOn "
    "requester performerType performer locationCode locationReference reasonCode reasonReference specimen bodySite "
    "patientInstruction",
    "Appointment": "identifier status serviceCategory serviceType specialty appointmentType reasonCode start",
    "DiagnosticReport": "identifier status category code subject encounter effective issued performer "
    "resultsInterpreter media",
    "Observation": "identifier basedOn partOf status code subject focus encounter effective issued performer value "
    "hasMember derivedFrom component",
    "DocumentReference": "masterIdentifier identifier status docStatus type category subject date author relatesTo "
    "description securityLabel content context",
    "ImagingStudy": "identifier status modality subject encounter started basedOn referrer interpreter endpoint "
    "numberOfSeries numberOfInstances procedureReference procedureCode location reasonCode reasonReference note "
    "description series",
    "Task": "identifier instantiatesCanonical instantiatesUri basedOn groupIdentifier partOf status statusReason "
    "businessStatus intent code description focus for encounter executionPeriod lastModified requester owner location",
    "Endpoint": "identifier status connectionType name managingOrganization period payloadType payloadMimeType address",
    "Provenance": "target recorded",
}

#: Elements that a resource may not be without; they are shown whatever was asked for.
_MANDATORY: dict[str, str] = {
    "Encounter": "status class",
    "ServiceRequest": "status intent subject",
    "Appointment": "status participant",
    "DiagnosticReport": "status code",
    "Observation": "status code",
    "DocumentReference": "status content",
    "ImagingStudy": "status subject",
    "Task": "status intent",
    "Endpoint": "status connectionType payloadType address",
    "Provenance": "target recorded agent",
}
_CHOICES = frozenset(["deceased", "quantity", "occurrence", "asNeeded", "effective", "value"])


class NotShown(Exception):
    """The resource cannot be shown in the version that was asked for."""


@dataclass(frozen=True)
class View:
    """How resources are shown: in which version of FHIR, and which of their elements."""

    version: str = R4
    summary: str = "false"
    elements: tuple[str, ...] = ()

    def show(self, stored: Stored) -> Json:
        """The resource; NotShown when there is no such version of it."""
        resource = self._part(stored)
        if self.version == R4:
            return resource
        if stored.type != "ImagingStudy":
            raise NotShown
        return imaging_study(resource)

    def _part(self, stored: Stored) -> Json:
        whole = stored.shown()
        mandatory = frozenset(_MANDATORY.get(stored.type, "").split())
        if self.elements:
            return _subset(whole, mandatory | frozenset(self.elements))
        if self.summary == "true":
            return _subset(whole, mandatory | frozenset(_SUMMARY.get(stored.type, "").split()))
        if self.summary == "text":
            return _subset(whole, mandatory | {"text"})
        if self.summary == "data":
            return _tagged({name: value for name, value in whole.items() if name != "text"})
        return whole


def _subset(whole: Json, names: frozenset[str]) -> Json:
    return _tagged({name: value for name, value in whole.items() if name in _ALWAYS or _element(name) in names})


def _element(name: str) -> str:
    """The name in the definition: without the underscore of extensions, and without the type of value[x]."""
    plain = name.removeprefix("_")
    base = re.split("[A-Z]", plain, maxsplit=1)[0]
    stem = "asNeeded" if plain.startswith("asNeeded") else base
    return stem if stem in _CHOICES else plain


def _tagged(resource: Json) -> Json:
    meta = dict(resource.get("meta", {}))
    meta["tag"] = [*meta.get("tag", ()), _TAG]
    return {**resource, "meta": meta}
