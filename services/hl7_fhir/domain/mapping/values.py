"""The value of an observation: OBX-5 by the data type that OBX-2 names, with the unit of OBX-6."""

import re
from typing import TYPE_CHECKING, Any

from services.hl7_fhir.domain.mapping import vocabulary
from services.hl7_fhir.domain.mapping.datatypes import Json, code_of, text_of, valued
from services.hl7_fhir.domain.mapping.functions import number_of
from services.hl7_fhir.domain.messages.message import Field, Repetition, part

if TYPE_CHECKING:
    from services.hl7_fhir.domain.mapping.site import Site

_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d)?(\.\d{1,4})?([+-]\d{4})?\Z")
_COMPARATORS = frozenset(("<", "<=", ">=", ">"))


def time_of(sent: str) -> str | None:
    """A FHIR time from TM ``HHMM[SS]``; None when it is none."""
    found = _TIME.match(sent.strip())
    return f"{found[1]}:{found[2]}:{found[3] or '00'}" if found else None


def string(elements: Json, value: Field, _: "Site") -> bool:
    """Every repetition is a line; delimiters that were not escaped belong to the text."""
    lines = ["^".join("&".join(component) for component in repetition) for repetition in value]
    text = text_of("\n".join(lines))
    if text:
        elements["valueString"] = text
    return bool(text)


def structured(elements: Json, value: Field, _: "Site") -> bool:
    """SN[Quantity], SN[Range] and SN[Ratio] by the separator in SN.3 (chapter 2.A.70)."""
    sent = value[0] if value else ()
    low, high = number_of(part(sent, 2)), number_of(part(sent, 4))
    comparator, separator = part(sent, 1), part(sent, 3)
    if low is None or comparator == "<>" or separator == "+":
        return False
    quantity = valued(comparator=comparator if comparator in _COMPARATORS else None) or {}
    quantity["value"] = low
    if separator in (":", "/") and high is not None:
        elements["valueRatio"] = {"numerator": quantity, "denominator": {"value": high}}
    elif separator == "-" and high is not None:
        elements["valueRange"] = {"low": {"value": low}, "high": {"value": high}}
    elif not separator:
        elements["valueQuantity"] = quantity
    else:
        return False
    return True


def numeric_range(elements: Json, value: Field, _: "Site") -> bool:
    """NR[Range] (chapter 2.A.49)."""
    sent: Repetition = value[0] if value else ()
    ends = {"low": number_of(part(sent, 1)), "high": number_of(part(sent, 2))}
    told = {name: {"value": number} for name, number in ends.items() if number is not None}
    if told:
        elements["valueRange"] = told
    return bool(told)


def unit(elements: Json, value: Field, site: "Site") -> bool:
    """CWE[Quantity] of OBX-6, for the quantities that OBX-5 made (R4 constraint qty-3: a code has a system)."""
    quantities = _quantities(elements)
    if not quantities or not value:
        return False
    code, display, system = (part(value[0], number) for number in (1, 2, 3))
    told: dict[str, Any] = {"unit": text_of(display) or text_of(code)}
    if code and system:
        told |= {
            "system": vocabulary.coding_system(code_of(system) or "", site.maps.coding_systems),
            "code": code_of(code),
        }
    for quantity in quantities:
        quantity.update({name: each for name, each in told.items() if each})
    return True


def _quantities(elements: Json) -> list[Json]:
    found = [elements[name] for name in ("valueQuantity",) if name in elements]
    for name in ("valueRange", "valueRatio"):
        found += [part for part in elements.get(name, {}).values() if isinstance(part, dict)]
    return found
