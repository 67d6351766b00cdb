"""Everything that a map may name: conversions, periods of two fields, and changes that no path can say."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from services.hl7_fhir.domain.mapping import attachments, datatypes, parties, values
from services.hl7_fhir.domain.mapping.datatypes import Json, text_of
from services.hl7_fhir.domain.mapping.functions import FUNCTIONS, Make
from services.hl7_fhir.domain.mapping.rows import Apply, Span
from services.hl7_fhir.domain.messages.message import Field, part

if TYPE_CHECKING:
    from services.hl7_fhir.domain.mapping.site import Site

MAKES: Mapping[str, Make] = {
    **FUNCTIONS,
    "ED[Attachment]": attachments.attachment,
    "RP[Attachment]": attachments.pointer,
    "TX[base64Binary]": attachments.base64_text,
    "TM[time]": lambda _: lambda repetition, _: values.time_of(part(repetition, 1)),
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


def _birth_time(elements: Json, value: Field, site: "Site") -> bool:
    """The extension birthTime stands beside a birth date only."""
    when = datatypes.date_time(part(value[0], 1), site.zone) if value else None
    if "birthDate" not in elements or not when or "T" not in when:
        return False
    told = {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueDateTime": when}
    elements["_birthDate"] = {"extension": [told]}
    return True


def _days(elements: Json, _: Field, __: "Site") -> bool:
    """NM[Quantity-LengthOfStay]: the unit of Encounter.length."""
    if "length" not in elements:
        return False
    elements["length"] |= {"unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}
    return True


APPLIES: Mapping[str, Apply] = {
    "OBX-5[string]": values.string,
    "SN[Quantity]": values.structured,
    "NR[Range]": values.numeric_range,
    "CWE[Quantity]": values.unit,
    "days": _days,
    "Address.district": _county,
    "birthTime": _birth_time,
}
