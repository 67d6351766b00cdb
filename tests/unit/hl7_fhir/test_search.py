"""FHIR searches are read strictly."""

import pytest

from services.hl7_fhir.domain.search import MAX_COUNT, Search, SearchRefused, read


def asked(kind: str, *parameters: tuple[str, str]) -> Search:
    return read(kind, parameters)


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        ("P1", ((None, "P1"),)),
        ("urn:oid:1.2|P1", (("urn:oid:1.2", "P1"),)),
        ("|P1", (("", "P1"),)),
        ("a|1,b|2", (("a", "1"), ("b", "2"))),
        (r"a|1\,2", (("a", "1,2"),)),
        (r"a|1\|2", (("a", "1|2"),)),
    ],
)
def test_an_identifier_is_a_value_with_or_without_a_system(value: str, tokens: tuple) -> None:
    assert asked("Patient", ("identifier", value)).identifiers == (tokens,)


@pytest.mark.parametrize("value", ["123", "Patient/123", "https://ehr.example/fhir/Patient/123"])
def test_a_patient_is_named_by_id_or_reference(value: str) -> None:
    assert asked("ServiceRequest", ("patient", value)).patients == (("123",),)


def test_a_repeated_parameter_is_one_more_condition() -> None:
    assert asked("Patient", ("_id", "1,2"), ("_id", "2")).ids == (("1", "2"), ("2",))


@pytest.mark.parametrize(
    "parameter",
    [
        ("name", "Doe"),
        ("patient", "Group/1"),
        ("identifier", ""),
        ("identifier", "a|b|c"),
        ("identifier", "a|"),
        ("identifier:not", "a"),
        ("_count", "-1"),
        ("_count", "many"),
        ("_count", "٣"),
        ("_include", "*"),
        ("identifier", ",".join("ab" for _ in range(51))),
    ],
)
def test_what_is_not_supported_is_refused_and_not_ignored(parameter: tuple[str, str]) -> None:
    with pytest.raises(SearchRefused):
        asked("Patient" if parameter[0] != "patient" else "ServiceRequest", parameter)


def test_a_page_has_a_bound() -> None:
    assert asked("Patient", ("_count", "100000")).count == MAX_COUNT
