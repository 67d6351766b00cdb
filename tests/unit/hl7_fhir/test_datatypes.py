"""HL7 data types to FHIR data types."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.hl7_fhir.domain.mapping import datatypes
from services.hl7_fhir.domain.mapping.components import converted
from services.hl7_fhir.domain.mapping.functions import Options
from services.hl7_fhir.domain.mapping.registry import MAKES
from services.hl7_fhir.domain.mapping.site import Site
from services.hl7_fhir.domain.messages.message import Delimiters, Place, Repetition, Syntax

V2 = "http://terminology.hl7.org/CodeSystem/v2"
ZURICH = ZoneInfo("Europe/Zurich")
SITE = Site(zone=ZURICH)


def made_by(name: str, text: str, **options: str) -> Any:
    """What the data type map called ``name`` makes of ``text`` with the shipped concept maps."""

    def codes(of: str) -> dict[str, str]:
        return {code: concept.code for code, concept in SITE.maps.concepts[of].codes.items()}

    known = SITE.maps.datatypes[name]
    convert = (
        converted(name[:3], known.rows, known.needed) if known.rows else MAKES[name](Options(codes=codes, **options))
    )
    return convert(value(text), SITE)


def value(text: str) -> Repetition:
    return Syntax(Delimiters("|", "^", "~", "\\", "&"), "utf-8").split(text, Place())[0]


@pytest.mark.parametrize(
    ("sent", "date", "date_time"),
    [
        ("1980", "1980", "1980"),
        ("198002", "1980-02", "1980-02"),
        ("19800203", "1980-02-03", "1980-02-03"),
        ("1980020314", "1980-02-03", "1980-02-03T14:00:00+01:00"),
        ("198007031405", "1980-07-03", "1980-07-03T14:05:00+01:00"),
        ("202607031405", "2026-07-03", "2026-07-03T14:05:00+02:00"),
        ("20260703140506.7+0000", "2026-07-03", "2026-07-03T14:05:06.700+00:00"),
        ("20260703140506-0330", "2026-07-03", "2026-07-03T14:05:06-03:30"),
        ("19801303", None, None),
        ("19800230", None, None),
        ("1980-02-03", None, None),
        ("", None, None),
        ("00000000", None, None),
        ("20260703140506+9999", None, None),
        ("yesterday", None, None),
    ],
)
def test_times_keep_the_precision_they_were_sent_with(sent: str, date: str | None, date_time: str | None) -> None:
    assert datatypes.date(sent) == date
    assert datatypes.date_time(sent, ZURICH) == date_time


def test_a_time_without_an_offset_is_local_to_the_site() -> None:
    assert datatypes.moment("20260703140000", ZURICH) == datetime(2026, 7, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("Doe^Jane", {"family": "Doe", "given": ["Jane"]}),
        (
            "van Beethoven&van&Beethoven&de&Rey^Ludwig^A B^Jr^Dr^MD^L^^^^^20000101",
            {
                "use": "official",
                "period": {"start": "2000-01-01"},
                "family": "van Beethoven",
                "_family": {
                    "extension": [
                        {"url": f"http://hl7.org/fhir/StructureDefinition/humanname-{name}", "valueString": text}
                        for name, text in (
                            ("own-prefix", "van"),
                            ("own-name", "Beethoven"),
                            ("partner-prefix", "de"),
                            ("partner-name", "Rey"),
                        )
                    ]
                },
                "given": ["Ludwig", "A", "B"],
                "prefix": ["Dr"],
                "suffix": ["Jr", "MD"],
            },
        ),
        ("^^^^^^L", None),
        ('""', None),
    ],
)
def test_xpn_becomes_a_human_name(sent: str, made: Any) -> None:
    assert made_by("XPN[HumanName]", sent) == made


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("(555)555-0123^PRN^PH", {"system": "phone", "value": "(555)555-0123", "use": "home"}),
        ("^WPN^Internet^jane@example.org", {"system": "email", "value": "jane@example.org", "use": "work"}),
        ("^^CP^^41^79^1234567", {"system": "phone", "value": "+41 79 1234567", "use": "mobile"}),
        ("^^FX^^^^^^^^^0441234567", {"system": "fax", "value": "0441234567", "use": "home"}),
        ("^PRN", None),
    ],
)
def test_xtn_becomes_a_contact_point(sent: str, made: Any) -> None:
    assert made_by("XTN[ContactPoint]", sent, use="home") == made


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        (
            "24725-4^CT Head^LN^CTH^Head^99L^^^CT of the head",
            {
                "coding": [
                    {"system": "http://loinc.org", "code": "24725-4", "display": "CT Head"},
                    {"system": "urn:x-causeway:code-system:99L", "code": "CTH", "display": "Head"},
                ],
                "text": "CT of the head",
            },
        ),
        ("^CT Head", {"text": "CT Head"}),
        (
            "R^Routine^HL70078",
            {"coding": [{"system": f"{V2}-0078", "code": "R", "display": "Routine"}]},
        ),
        ("^^LN", None),
    ],
)
def test_cwe_becomes_a_codeable_concept(sent: str, made: Any) -> None:
    assert datatypes.concept(value(sent), SITE.maps.coding_systems) == made


@pytest.mark.parametrize(
    ("sent", "system"),
    [
        ("P1^^^HOSP", "urn:x-causeway:issuer:HOSP"),
        ("P1^^^HOSP&1.2.3&ISO", "urn:oid:1.2.3"),
        ("P1^^^&https://hosp.example/id&URI", "https://hosp.example/id"),
        ("P1^^^St. Mary", "urn:x-causeway:issuer:St.%20Mary"),
        ("P1", "urn:x-causeway:issuer:SITE"),
    ],
)
def test_an_identifier_belongs_to_the_system_of_its_issuer(sent: str, system: str) -> None:
    made = datatypes.identifier(value(sent), ZURICH, SITE.maps.identifier_types, issuer="SITE")
    assert made is not None
    assert made["system"] == system


def test_an_address_keeps_its_parts() -> None:
    assert made_by("XAD[Address]", "1000&Hospital Lane&7^Ste. 123^Ann Arbor^MI^99999^USA^H^^Washtenaw") == {
        "line": ["1000", "Hospital Lane", "7", "Ste. 123"],
        "city": "Ann Arbor",
        "district": "Washtenaw",
        "state": "MI",
        "postalCode": "99999",
        "country": "USA",
        "use": "home",
    }


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("^^^^^^H", None),
        ("12^12", {"line": ["12", "12"]}),
        ('""^^Bern', {"city": "Bern"}),
        ("^^Bern^^^^^^^^^20200101&20210101", {"city": "Bern", "period": {"start": "2020-01-01", "end": "2021-01-01"}}),
        (
            "^^Bern^^^^SH^^^^^20200101^2022^2023",
            {"city": "Bern", "type": "postal", "period": {"start": "2022", "end": "2023"}},
        ),
    ],
)
def test_an_address_is_what_its_rows_say(sent: str, made: Any) -> None:
    assert made_by("XAD[Address]", sent) == made


def test_control_characters_do_not_reach_a_fhir_string() -> None:
    assert datatypes.text_of("\x01Doe\x85 \x0b") == "Doe"
    assert datatypes.text_of(" \x02 ") is None
