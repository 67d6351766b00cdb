"""Identity is (issuer, id); placeholders never match."""

import pytest

from services.hl7_fhir.domain.mapping.identity import Identity, ei_identity, patient_identity, usable
from services.hl7_fhir.domain.messages.message import Delimiters, Field, Place, Syntax


def field(text: str) -> Field:
    return Syntax(Delimiters("|", "^", "~", "\\", "&"), "utf-8").split(text, Place("PID", 1, 3))


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", '""', "0", "000000", "9999", "XXXXX", "----", "A" * 300),
        *("N/A", "none", "UNKNOWN", "unknown", "Unk", "UNKNOWN12", "trauma_7", "Trauma Alpha"),
    ],
)
def test_what_stands_for_not_known_matches_nothing(value: str) -> None:
    assert not usable(value)


@pytest.mark.parametrize("value", ["1", "7", "10", "P1", "00012", "A-1", "PID_1", "10006579", "Ä7"])
def test_short_and_odd_ids_are_ids(value: str) -> None:
    assert usable(value)


@pytest.mark.parametrize(
    ("listed", "external", "found"),
    [
        ("P1^^^HOSP^MR", "", Identity("HOSP", "P1")),
        ("P1^^^HOSP&1.2.3&ISO^MR", "", Identity("HOSP", "P1")),
        ("P1^^^&1.2.3&ISO^MR", "", Identity("1.2.3", "P1")),
        ("P1", "", Identity("SITE", "P1")),
        ("A9^^^HOSP^AN~P1^^^HOSP^MR", "", Identity("HOSP", "P1")),
        ("A9^^^HOSP^AN~P1^^^HOSP", "", Identity("HOSP", "P1")),
        ("UNKNOWN^^^HOSP^MR~N1^^^NHS^NH", "", Identity("NHS", "N1")),
        ("", "E1^^^OLD", Identity("OLD", "E1")),
        ("0^^^HOSP", "", None),
        ("", "", None),
    ],
)
def test_a_patient_is_the_medical_record_number_with_its_issuer(
    listed: str, external: str, found: Identity | None
) -> None:
    assert patient_identity(field(listed), field(external), "SITE") == found


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("PL1^HIS", Identity("HIS", "PL1")),
        ("PL1^^1.2.3^ISO", Identity("1.2.3", "PL1")),
        ("PL1", Identity("SITE", "PL1")),
        ("UNKNOWN^HIS", None),
        ("", None),
    ],
)
def test_an_order_is_its_number_with_its_issuer(number: str, found: Identity | None) -> None:
    assert ei_identity(field(number), "SITE") == found
