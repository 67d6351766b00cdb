"""PID to FHIR Patient, after the segment map PID[Patient] of the HL7 v2-to-FHIR guide 1.0.0.

Left out as the guide leaves them to a country: race (PID-10) and ethnic group (PID-22). PID-18 belongs to an account.
"""

from typing import Any

from services.hl7_fhir.domain import datatypes, vocabulary
from services.hl7_fhir.domain.datatypes import Json, extension, text_of, valued
from services.hl7_fhir.domain.message import Repetition, part
from services.hl7_fhir.domain.record import Record, Row, Site, render

#: The fields of PID that the map reads.
FIELDS = {"PID": (*range(2, 10), *range(11, 18), 19, 20, *range(23, 27), 28, 29, 30, 35, 36, 39, 40)}

_YES_NO = {"Y": True, "N": False}


def _identifier(repetition: Repetition, site: Site) -> Json | None:
    return datatypes.identifier(repetition, site.zone, issuer=site.patient_issuer)


def _social_security(repetition: Repetition, site: Site) -> Json | None:
    return datatypes.identifier(repetition[:1], site.zone, kind="SS")


def _licence(repetition: Repetition, site: Site) -> Json | None:
    """DLN[Identifier]: the issuing state is the system's name."""
    value = text_of(part(repetition, 1))
    issued_by = text_of(part(repetition, 2)) or ""
    end = datatypes.period("", part(repetition, 3), site.zone)
    told = valued(
        type_=datatypes.identifier_type("DL"),
        system=vocabulary.identifier_system(issued_by, "", ""),
        value=value,
        period=end,
    )
    return told if value else None


def _name(repetition: Repetition, site: Site) -> Json | None:
    return datatypes.human_name(repetition, site.zone)


def _address(repetition: Repetition, site: Site) -> Json | None:
    return datatypes.address(repetition, site.zone)


def _phone(use: str) -> Any:
    return lambda repetition, site: datatypes.contact_point(repetition, site.zone, use)


def _mothers_name(repetition: Repetition, _: Site) -> Json | None:
    """XPN[String]: the family name."""
    return extension("patient-mothersMaidenName", valueString=text_of(part(repetition, 1)))


def _concept_extension(name: str) -> Any:
    return lambda repetition, site: extension(name, valueCodeableConcept=datatypes.concept(repetition))


def _coded_extension(name: str) -> Any:
    def made(repetition: Repetition, _: Site) -> Json | None:
        coded = valued(valueCodeableConcept=datatypes.concept(repetition))
        return extension(name, extension=[{"url": "code", **coded}]) if coded else None

    return made


def _animal(repetition: Repetition, _: Site) -> Json | None:
    species = valued(valueCodeableConcept=datatypes.concept(repetition))
    return extension("patient-animal", extension=[{"url": "species", **species}]) if species else None


def _birth_place(repetition: Repetition, _: Site) -> Json | None:
    return extension("patient-birthPlace", valueAddress=valued(text=text_of(part(repetition, 1))))


def _birth_time(repetition: Repetition, site: Site) -> Json | None:
    """The extension birthTime, when PID-7 is longer than a day."""
    sent = part(repetition, 1)
    when = datatypes.date_time(sent, site.zone)
    timed = when if when and "T" in when else None
    born = extension("patient-birthTime", valueDateTime=timed)
    return {"extension": [born]} if born else None


def _marital_status(repetition: Repetition, _: Site) -> Json | None:
    mapped = vocabulary.MARITAL_STATUS.get(part(repetition, 1).upper())
    if mapped is None:
        return datatypes.concept(repetition)
    code, system, display = mapped
    return valued(coding=[{"system": system, "code": code, "display": display}], text=text_of(part(repetition, 9)))


def _language(repetition: Repetition, _: Site) -> Json | None:
    spoken = datatypes.concept(repetition)
    return {"language": spoken} if spoken else None


def _yes_no(repetition: Repetition, _: Site) -> bool | None:
    return _YES_NO.get(part(repetition, 1).upper())


def _birth_order(repetition: Repetition, _: Site) -> int | None:
    value = part(repetition, 1)
    return int(value) if value.isdecimal() and 0 < len(value) < 3 else None


ROWS = (
    Row("PID-3", "identifier", _identifier, many=True),
    Row("PID-2", "identifier", _identifier, many=True),
    Row("PID-4", "identifier", _identifier, many=True),
    Row("PID-19", "identifier", _social_security, many=True),
    Row("PID-20", "identifier", _licence, many=True),
    Row("PID-5", "name", _name, many=True),
    Row("PID-9", "name", _name, many=True),
    Row("PID-40", "telecom", _phone(""), many=True),
    Row("PID-13", "telecom", _phone("home"), many=True),
    Row("PID-14", "telecom", _phone("work"), many=True),
    Row("PID-8", "gender", lambda repetition, _: vocabulary.GENDER.get(part(repetition, 1).upper())),
    Row("PID-7", "birthDate", lambda repetition, _: datatypes.date(part(repetition, 1))),
    Row("PID-7", "_birthDate", _birth_time),
    Row("PID-29", "deceasedDateTime", lambda repetition, site: datatypes.date_time(part(repetition, 1), site.zone)),
    Row("PID-30", "deceasedBoolean", _yes_no, unless=("deceasedDateTime",)),
    Row("PID-11", "address", _address, many=True),
    Row("PID-16", "maritalStatus", _marital_status),
    Row("PID-25", "multipleBirthInteger", _birth_order),
    Row("PID-24", "multipleBirthBoolean", _yes_no, unless=("multipleBirthInteger",)),
    Row("PID-15", "communication", _language, many=True),
    Row("PID-6", "extension", _mothers_name, many=True),
    Row("PID-17", "extension", _concept_extension("patient-religion"), many=True),
    Row("PID-23", "extension", _birth_place, many=True),
    Row("PID-26", "extension", _coded_extension("patient-citizenship"), many=True),
    Row("PID-39", "extension", _coded_extension("patient-citizenship"), many=True),
    Row("PID-28", "extension", _coded_extension("patient-nationality"), many=True),
    Row("PID-35", "extension", _animal, many=True),
)


def resource(record: Record, site: Site) -> Json:
    """The Patient that ``record`` describes, without id and meta."""
    elements = render(ROWS, record, site)
    if "birthDate" not in elements:
        elements.pop("_birthDate", None)
    county = record.get("PID-12")
    if county and county.value:
        _add_county(elements, text_of(part(county.value[0], 1)))
    _add_breed(elements, record)
    return {"resourceType": "Patient", "active": True, **elements}


def _add_county(elements: dict[str, Any], county: str | None) -> None:
    """PID-12 goes to the only address that has no district, else becomes one of its own."""
    if not county:
        return
    addresses = elements.setdefault("address", [])
    if len(addresses) == 1 and "district" not in addresses[0]:
        addresses[0]["district"] = county
    elif not any(known.get("district") == county for known in addresses):
        addresses.append({"district": county})


def _add_breed(elements: dict[str, Any], record: Record) -> None:
    breed = record.get("PID-36")
    coded = datatypes.concept(breed.value[0]) if breed and breed.value else None
    animals = [known for known in elements.get("extension", []) if known["url"].endswith("patient-animal")]
    if coded and animals:
        animals[0]["extension"].append({"url": "breed", "valueCodeableConcept": coded})
