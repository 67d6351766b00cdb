"""What maps cannot say as data: times, the systems of identifiers, names. Registered under the guide's names.

Every entry makes the conversion of one row from the row's options.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from services.hl7_fhir.domain.mapping import datatypes, vocabulary
from services.hl7_fhir.domain.mapping.concepts import ConceptMap
from services.hl7_fhir.domain.mapping.datatypes import Json, code_of, text_of, valued
from services.hl7_fhir.domain.mapping.identity import ei_identity
from services.hl7_fhir.domain.mapping.rows import Convert
from services.hl7_fhir.domain.messages.message import Repetition, part

if TYPE_CHECKING:
    from services.hl7_fhir.domain.mapping.site import Site

_UID = re.compile(r"[0-9]+(\.[0-9]+)+\Z")
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?\Z")
_DICOM_CODES = "http://dicom.nema.org/resources/ontology/DCM"


@dataclass(frozen=True)
class Options:
    """What a row gives its function: a concept map, an identifier's type, a use, whose default issuer."""

    concepts: ConceptMap | None = None
    type: str = ""
    use: str = ""
    issuer: str = ""
    #: The codes of another concept map by its name.
    codes: Callable[[str], Mapping[str, str]] = lambda _: {}


Make = Callable[[Options], Convert]


def uid_of(text: str) -> str | None:
    """``text`` as a DICOM UID, None when it is none (PS3.5 section 9.1)."""
    return text if len(text) <= 64 and _UID.match(text) else None


def number_of(text: str) -> int | float | None:
    """A decimal of NM, None when it is none (chapter 2.A.47)."""
    text = text.strip()
    if not _NUMBER.match(text):
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return int(value) if "." not in text else float(value)


def _text(_: Options) -> Convert:
    return lambda repetition, _: text_of(part(repetition, 1))


def _markdown(_: Options) -> Convert:
    return lambda repetition, _: text_of("^".join("&".join(component) for component in repetition))


def _code(options: Options) -> Convert:
    concepts = options.concepts
    if concepts is None:
        return lambda repetition, _: code_of(part(repetition, 1))

    def mapped(repetition: Repetition, _: "Site") -> str | None:
        concept = concepts.find(part(repetition, 1))
        return concept.code if concept else None

    return mapped


def _concept(options: Options) -> Convert:
    concepts = options.concepts
    if concepts is None:
        return lambda repetition, site: datatypes.concept(repetition, site.maps.coding_systems)

    def mapped(repetition: Repetition, site: "Site") -> Json | None:
        concept = concepts.find(part(repetition, 1))
        if concept is None:
            return datatypes.concept(repetition, site.maps.coding_systems)
        return valued(coding=[concept.coding()], text=text_of(part(repetition, 9)))

    return mapped


def _coding(options: Options) -> Convert:
    make = _concept(options)

    def first(repetition: Repetition, site: "Site") -> Json | None:
        made = make(repetition, site)
        codings = made.get("coding", []) if made else []
        return codings[0] if codings else valued(display=made.get("text")) if made else None

    return first


def _identifier(options: Options) -> Convert:
    def made(repetition: Repetition, site: "Site") -> Json | None:
        found = datatypes.identifier(
            repetition, site.zone, site.maps.identifier_types, options.type, site.issuer(options.issuer)
        )
        return {"use": options.use, **found} if found and options.use else found

    return made


def _entity(options: Options) -> Convert:
    return lambda repetition, site: datatypes.entity(
        repetition, site.maps.identifier_types, options.type, site.issuer(options.issuer)
    )


def _accession(options: Options) -> Convert:
    """As EI[Identifier-Extension], but nothing for what stands for "none"."""

    def made(repetition: Repetition, site: "Site") -> Json | None:
        issuer = site.issuer(options.issuer)
        known = ei_identity((repetition,), issuer)
        return datatypes.entity(repetition, site.maps.identifier_types, options.type, issuer) if known else None

    return made


def _pair(component: int) -> Make:
    """EIP: the placer's (1) or filler's (2) half, whose parts are subcomponents."""

    def make(options: Options) -> Convert:
        def made(repetition: Repetition, site: "Site") -> Json | None:
            half = repetition[component - 1] if len(repetition) >= component else ()
            return datatypes.entity(
                tuple((each,) for each in half), site.maps.identifier_types, options.type, site.issuer(options.issuer)
            )

        return made

    return make


def _bare_identifier(options: Options) -> Convert:
    return lambda repetition, site: datatypes.identifier(
        repetition[:1], site.zone, site.maps.identifier_types, options.type
    )


def _licence(_: Options) -> Convert:
    return lambda repetition, site: datatypes.licence(repetition, site.zone, site.maps.identifier_types)


def _study(_: Options) -> Convert:
    def made(repetition: Repetition, _: "Site") -> Json | None:
        uid = uid_of(part(repetition, 1))
        return {"system": vocabulary.DICOM_UID_SYSTEM, "value": f"urn:oid:{uid}"} if uid else None

    return made


def _modality(_: Options) -> Convert:
    def made(repetition: Repetition, _: "Site") -> Json | None:
        code = part(repetition, 1).upper()
        return {"coding": [{"system": _DICOM_CODES, "code": code}]} if code in vocabulary.MODALITIES else None

    return made


def _boolean(options: Options) -> Convert:
    codes = options.codes("YesNo")
    return lambda repetition, _: {"true": True, "false": False}.get(codes.get(part(repetition, 1).upper(), ""))


def _contact_point(options: Options) -> Convert:
    uses, systems = options.codes("TelecommunicationUseCode"), options.codes("TelecommunicationEquipmentType")
    return lambda repetition, site: datatypes.contact_point(repetition, site.zone, uses, systems, options.use)


def _human_name(options: Options) -> Convert:
    uses = options.codes("NameType")
    return lambda repetition, site: datatypes.human_name(repetition, site.zone, uses)


def _instant(_: Options) -> Convert:
    """An instant: to the second, else nothing."""

    def made(repetition: Repetition, site: "Site") -> str | None:
        sent = part(repetition, 1)
        when = datatypes.date_time(sent, site.zone)
        return when if when and "T" in when and len(sent) >= 12 else None

    return made


def _positive(_: Options) -> Convert:
    def made(repetition: Repetition, _: "Site") -> int | None:
        value = part(repetition, 1).partition(".")[0]
        return int(value) if value.isascii() and value.isdecimal() and 0 < len(value) < 7 and int(value) else None

    return made


def _order_of_birth(_: Options) -> Convert:
    def made(repetition: Repetition, _: "Site") -> int | None:
        value = part(repetition, 1)
        return int(value) if value.isascii() and value.isdecimal() and 0 < len(value) < 3 else None

    return made


#: By the guide's names; those that the guide has not are ours and say so in ``maps/datatypes.yaml``.
FUNCTIONS: Mapping[str, Make] = {
    "ST[string]": _text,
    "FT[markdown]": _markdown,
    "CWE[code]": _code,
    "CWE[CodeableConcept]": _concept,
    "CWE[Coding]": _coding,
    "CWE[Modality]": _modality,
    "CX[Identifier]": _identifier,
    "EI[Identifier-Extension]": _entity,
    "EI[Identifier-Accession]": _accession,
    "EIP[Identifier-PlacerAssignedIdentifier]": _pair(1),
    "EIP[Identifier-FillerAssignedIdentifier]": _pair(2),
    "ST[Identifier]": _bare_identifier,
    "DLN[Identifier]": _licence,
    "UI[Identifier]": _study,
    "ID[boolean]": _boolean,
    "NM[positiveInt]": _positive,
    "NM[multipleBirthInteger]": _order_of_birth,
    "NM[decimal]": lambda _: lambda repetition, _: number_of(part(repetition, 1)),
    "XPN[HumanName]": _human_name,
    "XTN[ContactPoint]": _contact_point,
    "DTM[date]": lambda _: lambda repetition, _: datatypes.date(part(repetition, 1)),
    "DTM[dateTime]": lambda _: lambda repetition, site: datatypes.date_time(part(repetition, 1), site.zone),
    "DTM[instant]": _instant,
}
