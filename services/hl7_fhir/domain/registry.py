"""Everything that a map may name: conversions, periods of two fields, and changes that no path can say."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from services.hl7_fhir.domain import attachments, datatypes, parties, vocabulary
from services.hl7_fhir.domain.datatypes import Json, code_of, text_of
from services.hl7_fhir.domain.functions import FUNCTIONS, Make
from services.hl7_fhir.domain.mapping import Apply, Span
from services.hl7_fhir.domain.message import Field, part

if TYPE_CHECKING:
    from services.hl7_fhir.domain.site import Site

MAKES: Mapping[str, Make] = {
    **FUNCTIONS,
    "ED[Attachment]": attachments.attachment,
    "RP[Attachment]": attachments.pointer,
    "TX[base64Binary]": attachments.base64_text,
    "XCN[Practitioner]": lambda _: parties.practitioner,
    "NDL[Practitioner]": lambda _: (
        lambda repetition, site: parties.practitioner(parties.named_by_ndl(repetition), site)
    ),
    "XON[Organization]": lambda _: parties.organization,
    "PL[Location]": lambda _: parties.location,
    "XCN[Identifier]": lambda _: parties.xcn_identifier,
    "XCN[HumanName]": parties.human_name,
    "XON[Identifier]": lambda _: parties.xon_identifier,
    "PL[Identifier]": lambda _: parties.pl_identifier,
    "PL[physicalType]": lambda _: parties.physical_type,
    "PL[partOf]": lambda _: parties.part_of,
    "PL[name]": lambda _: parties.place_name,
}

#: The kinds of party that a conversion's value refers to.
REFERS: Mapping[str, str] = {
    "XCN[Practitioner]": "Practitioner",
    "NDL[Practitioner]": "Practitioner-NDL",
    "XON[Organization]": "Organization",
    "PL[Location]": "Location",
}


def _period(start: str, end: str, site: "Site") -> Json | None:
    return datatypes.period(start, end, site.zone)


SPANS: Mapping[str, Span] = {"DTM[Period]": _period}


def _county(elements: Json, value: Field, _: "Site") -> bool:
    """PID-12 goes to the only address that has no district, else becomes one of its own."""
    county = text_of(part(value[0], 1)) if value else None
    if not county:
        return False
    addresses = elements.setdefault("address", [])
    if len(addresses) == 1 and "district" not in addresses[0]:
        addresses[0]["district"] = county
    elif not any(known.get("district") == county for known in addresses):
        addresses.append({"district": county})
    return True


def _unit(elements: Json, value: Field, _: "Site") -> bool:
    """CWE[Quantity] of OBX-6, for the quantities that OBX-5 made (R4 constraint qty-3: a code has a system)."""
    quantities = _quantities(elements)
    if not quantities or not value:
        return False
    code, display, system = (part(value[0], number) for number in (1, 2, 3))
    told: dict[str, Any] = {"unit": text_of(display) or text_of(code)}
    if code and system:
        told |= {"system": vocabulary.coding_system(code_of(system) or ""), "code": code_of(code)}
    for quantity in quantities:
        quantity.update({name: each for name, each in told.items() if each})
    return True


def _quantities(elements: Json) -> list[Json]:
    found = [elements[name] for name in ("valueQuantity",) if name in elements]
    for name in ("valueRange", "valueRatio"):
        found += [part for part in elements.get(name, {}).values() if isinstance(part, dict)]
    return found


def _identity_of_birth(elements: Json, value: Field, site: "Site") -> bool:
    """The extension birthTime stands beside a birth date only."""
    when = datatypes.date_time(part(value[0], 1), site.zone) if value else None
    if "birthDate" not in elements or not when or "T" not in when:
        return False
    told = {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueDateTime": when}
    elements["_birthDate"] = {"extension": [told]}
    return True


APPLIES: Mapping[str, Apply] = {
    "Address.district": _county,
    "CWE[Quantity]": _unit,
    "birthTime": _identity_of_birth,
}
