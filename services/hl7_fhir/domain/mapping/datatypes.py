"""HL7 v2 data types to FHIR R4 data types, after the data type maps of the HL7 v2-to-FHIR guide 1.0.0.

Every function takes one repetition of a field and returns the FHIR value, or None when nothing in it can be said.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from services.hl7_fhir.domain.mapping import vocabulary
from services.hl7_fhir.domain.mapping.concepts import ConceptMap
from services.hl7_fhir.domain.messages.message import Repetition, part

#: Codes of a v2 table in upper case to FHIR codes.
Codes = Mapping[str, str]

Json = dict[str, Any]

_EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
_TIME = re.compile(
    r"(?P<year>\d{4})((?P<month>\d\d)((?P<day>\d\d)((?P<hour>\d\d)((?P<minute>\d\d)"
    r"((?P<second>\d\d)(\.(?P<fraction>\d{1,6}))?)?)?)?)?)?(?P<zone>[+-]\d{4})?\Z"
)
#: What FHIR's string may not hold (R4 section 2.24.0.1): control characters but tab, carriage return and line feed.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def text_of(value: str) -> str | None:
    """A FHIR string: no control characters, no surrounding space, None when nothing is left."""
    return _CONTROL.sub("", value).strip() or None


def code_of(value: str) -> str | None:
    """A FHIR code: single spaces inside, none around (R4 section 2.24.0.1)."""
    return " ".join(_CONTROL.sub("", value).split()) or None


def valued(**values: Any) -> Json | None:
    """Those of ``values`` that say something, under their names; None when none does. A trailing ``_`` is dropped."""
    told = {name.rstrip("_"): value for name, value in values.items() if value not in (None, "", [], {})}
    return told or None


def extension(name: str, **value: Any) -> Json | None:
    """A standard extension by its short name, None when its value says nothing."""
    told = valued(**value)
    return {"url": _EXTENSION + name, **told} if told else None


def moment(value: str, zone: tzinfo) -> datetime | None:
    """An instant in UTC from DTM ``YYYY[MM[DD[HH[MM[SS[.S…]]]]]][+ZZZZ]`` (chapter 2.A.21).

    Without an offset it is local to ``zone``. What the value leaves out counts from its start. None when it is no time.
    """
    found = _TIME.match(value.strip())
    if not found:
        return None
    told = found.groupdict()
    try:
        local = datetime(
            int(told["year"]),
            int(told["month"] or 1),
            int(told["day"] or 1),
            int(told["hour"] or 0),
            int(told["minute"] or 0),
            min(int(told["second"] or 0), 59),
            int((told["fraction"] or "0").ljust(6, "0")),
            tzinfo=_offset(told["zone"]) or zone,
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _offset(zone: str | None) -> timezone | None:
    if not zone:
        return None
    minutes = int(zone[1:3]) * 60 + int(zone[3:5])
    return timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))


def date(value: str) -> str | None:
    """A FHIR date with the precision sent; None when it is none."""
    found = _TIME.match(value.strip())
    if not found or moment(value, UTC) is None:
        return None
    return "-".join(told for told in (found["year"], found["month"], found["day"]) if told)


def date_time(value: str, zone: tzinfo) -> str | None:
    """A FHIR dateTime with the precision sent; with a time it has an offset, that of ``zone`` if none was sent."""
    found = _TIME.match(value.strip())
    instant = moment(value, zone)
    if not found or instant is None or not found["hour"]:
        return date(value)
    offset = _offset(found["zone"]) or zone
    return instant.astimezone(offset).isoformat(timespec="milliseconds" if found["fraction"] else "seconds")


def identifier(
    repetition: Repetition, zone: tzinfo, types: ConceptMap, kind: str = "", issuer: str = ""
) -> Json | None:
    """CX[Identifier]; ``kind`` is the type when CX.5 names none, ``issuer`` the authority when CX.4 does not.

    ``types`` is the concept map IdentifierType, here and below.
    """
    value = text_of(part(repetition, 1))
    if not value:
        return None
    namespace, universal = text_of(part(repetition, 4)) or "", text_of(part(repetition, 4, 2)) or ""
    namespace = namespace or ("" if universal else issuer)
    return valued(
        extension=_told([extension("identifier-checkDigit", valueString=text_of(part(repetition, 2)))]),
        type_=identifier_type(part(repetition, 5) or kind, types),
        system=vocabulary.identifier_system(namespace, universal, part(repetition, 4, 3)),
        value=value,
        period=period(part(repetition, 7), part(repetition, 8), zone),
        assigner=valued(display=namespace or universal),
    )


def licence(repetition: Repetition, zone: tzinfo, types: ConceptMap) -> Json | None:
    """DLN[Identifier]: the issuing state is the system's name."""
    value = text_of(part(repetition, 1))
    if not value:
        return None
    return valued(
        type_=identifier_type("DL", types),
        system=vocabulary.identifier_system(text_of(part(repetition, 2)) or "", "", ""),
        value=value,
        period=period("", part(repetition, 3), zone),
    )


def entity(repetition: Repetition, types: ConceptMap, kind: str, issuer: str = "") -> Json | None:
    """EI[Identifier-Extension] of type ``kind``; ``issuer`` is the authority when EI.2 and EI.3 are empty."""
    value = text_of(part(repetition, 1))
    if not value:
        return None
    namespace, universal = text_of(part(repetition, 2)) or "", text_of(part(repetition, 3)) or ""
    namespace = namespace or ("" if universal else issuer)
    return valued(
        type_=identifier_type(kind, types),
        system=vocabulary.identifier_system(namespace, universal, part(repetition, 4)),
        value=value,
        assigner=valued(display=namespace or universal),
    )


def identifier_type(code: str, types: ConceptMap) -> Json | None:
    """A type of the concept map as a coding, another as text."""
    code = code_of(code) or ""
    known = types.exactly(code)
    if known:
        return {"coding": [known.coding()]}
    return {"text": code} if code else None


def period(start: str, end: str, zone: tzinfo) -> Json | None:
    """A FHIR Period, without an end that lies before its start."""
    begins, ends = moment(start, zone), moment(end, zone)
    if begins and ends and ends < begins:
        return valued(start=date_time(start, zone))
    return valued(start=date_time(start, zone), end=date_time(end, zone))


def _validity(repetition: Repetition, ends: tuple[int, int], deprecated: int, zone: tzinfo) -> Json | None:
    """Since and until when a name or an address is so; before 2.5 both stand in one DR."""
    start, end = (part(repetition, number) for number in ends)
    if not start and not end:
        start, end = part(repetition, deprecated), part(repetition, deprecated, 2)
    return period(start, end, zone)


def human_name(repetition: Repetition, zone: tzinfo, uses: Codes) -> Json | None:
    """XPN[HumanName] with FN[HumanName] in its first component; ``uses`` is the concept map NameType."""
    given = [text_of(part(repetition, 2)), *(text_of(name) for name in part(repetition, 3).split())]
    suffix = [text_of(part(repetition, number)) for number in (4, 6, 14)]
    family = text_of(part(repetition, 1))
    told = valued(
        family=family,
        _family=_family_extensions(repetition) if family else None,
        given=_told(given),
        prefix=_told([text_of(part(repetition, 5))]),
        suffix=_told(suffix),
    )
    if not told:
        return None
    use = uses.get(part(repetition, 7).upper())
    valid = _validity(repetition, (12, 13), 10, zone)
    return {**(valued(use=use, period=valid) or {}), **told}


def _family_extensions(repetition: Repetition) -> Json | None:
    names = ("own-prefix", "own-name", "partner-prefix", "partner-name")
    found = [
        extension(f"humanname-{name}", valueString=text_of(part(repetition, 1, number)))
        for number, name in enumerate(names, start=2)
    ]
    return valued(extension=_told(found))


def contact_point(repetition: Repetition, zone: tzinfo, uses: Codes, systems: Codes, use: str = "") -> Json | None:
    """XTN[ContactPoint]; ``use`` is that of the field when XTN.2 has none.

    ``uses`` and ``systems`` are the concept maps TelecommunicationUseCode and TelecommunicationEquipmentType.
    """
    equipment = part(repetition, 3).upper()
    electronic = text_of(part(repetition, 4))
    is_electronic = equipment in ("INTERNET", "X.400") or (electronic and not equipment)
    value = (electronic or text_of(part(repetition, 1))) if is_electronic else _telephone(repetition)
    if not value:
        return None
    rank = part(repetition, 18)
    mobile = "mobile" if equipment == "CP" else ""
    return valued(
        system="email" if is_electronic else systems.get(equipment, "phone"),
        value=value,
        use=uses.get(part(repetition, 2).upper()) or mobile or use,
        rank=int(rank) if re.fullmatch("[1-9][0-9]{0,5}", rank) else None,
        period=period(part(repetition, 13), part(repetition, 14), zone),
    )


def _telephone(repetition: Repetition) -> str | None:
    local, area = part(repetition, 7), part(repetition, 6)
    if part(repetition, 12):
        return text_of(part(repetition, 12))
    if not local:
        return text_of(part(repetition, 1)) or text_of(part(repetition, 4))
    country = f"+{part(repetition, 5).lstrip('+')} " if part(repetition, 5) else ""
    extra = f" X{part(repetition, 8)}" if part(repetition, 8) else ""
    return text_of(f"{country}{area} {local}{extra}")


def concept(repetition: Repetition, systems: ConceptMap) -> Json | None:
    """CWE[CodeableConcept]: a coding per triplet, the original text beside them; the concept map CodingSystem."""
    triplets = ((1, 2, 3, 7), (4, 5, 6, 8), (10, 11, 12, 13))
    codings = [_coding(*(part(repetition, number) for number in triplet), systems=systems) for triplet in triplets]
    text = text_of(part(repetition, 9))
    if not text and not any(coding and "code" in coding for coding in codings):
        text = next((coding["display"] for coding in codings if coding), None)
    return valued(coding=[coding for coding in codings if coding and "code" in coding], text=text)


def _coding(code: str, display: str, system: str, version: str, *, systems: ConceptMap) -> Json | None:
    coded = code_of(code)
    if not coded:
        return valued(display=text_of(display))
    named = code_of(system)
    return valued(
        system=vocabulary.coding_system(named, systems) if named else None,
        version=text_of(version),
        code=coded,
        display=text_of(display),
    )


def _told(values: list[Any]) -> list[Any]:
    return [value for value in values if value not in (None, "", {}, [])]
