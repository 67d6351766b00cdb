"""FHIR searches are read strictly."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.hl7_fhir.domain.fhir.conditions import Chained, Ids, References, Search, Sort, Strings, Tokens
from services.hl7_fhir.domain.fhir.parameters import KINDS, parameters
from services.hl7_fhir.domain.fhir.search import MAX_COUNT, SearchRefused, history, read

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def asked(kind: str, *parameters: tuple[str, str], **more: object) -> Search:
    return read(kind, parameters, NOW, **more)  # type: ignore[arg-type]  # each case gives what it needs


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        ("P1", (("P1", None),)),
        ("urn:oid:1.2|P1", (("P1", "urn:oid:1.2"),)),
        ("|P1", (("P1", ""),)),
        ("a|1,b|2", (("1", "a"), ("2", "b"))),
        (r"a|1\,2", (("1,2", "a"),)),
        (r"a|1\|2", (("1|2", "a"),)),
        ("urn:dicom:uid|urn:oid:1.2", (("1.2", "urn:dicom:uid"),)),
    ],
)
def test_an_identifier_is_a_value_with_or_without_a_system(value: str, tokens: tuple) -> None:
    (found,) = asked("Patient", ("identifier", value)).conditions
    assert isinstance(found, Tokens)
    assert tuple(each[1:] for each in found.alternatives) == tokens


@pytest.mark.parametrize("value", ["123", "Patient/123", "https://site.example/fhir/Patient/123"])
def test_a_patient_is_named_by_id_or_reference(value: str) -> None:
    (found,) = asked("ServiceRequest", ("patient", value), base="https://site.example/fhir").conditions
    assert isinstance(found, References)
    assert found.targets == ("Patient/123",)


def test_a_repeated_parameter_is_one_more_condition() -> None:
    assert asked("Patient", ("_id", "1,2"), ("_id", "2")).conditions == (Ids(("1", "2")), Ids(("2",)))


def test_a_name_is_compared_without_case_and_accents() -> None:
    (found,) = asked("Patient", ("name", "MÜLLER  Zoë")).conditions
    assert isinstance(found, Strings)
    assert found.alternatives == ("muller zoe",)


def test_a_chain_leads_to_every_kind_that_knows_its_end() -> None:
    (found,) = asked("ImagingStudy", ("basedon.identifier", "ACC1")).conditions
    assert isinstance(found, Chained)
    assert [kind for kind, _ in found.conditions] == ["ServiceRequest", "Appointment", "Task"]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("Patient", "colour", "red"),
        ("Patient", "name:phonetic", "Doe"),
        ("Patient", "name", " "),
        ("ServiceRequest", "patient", "Group/1"),
        ("ServiceRequest", "patient:Group", "Patient/1"),
        ("ServiceRequest", "patient", "../1"),
        ("Patient", "identifier", ""),
        ("Patient", "identifier", "a|b|c"),
        ("Patient", "identifier", "a|"),
        ("Patient", "identifier", "a\0b"),
        ("Patient", "identifier:text", "a"),
        ("Patient", "active:missing", "perhaps"),
        ("Patient", "birthdate", "1980-02-30"),
        ("Patient", "birthdate", "yesterday"),
        ("Patient", "birthdate", "zz1980"),
        ("Patient", "birthdate", "0000"),
        ("Patient", "_lastUpdated", "2026-01-01T00:00:00+25:00"),
        ("Patient", "_id:not", "1"),
        ("Patient", "_count", "-1"),
        ("Patient", "_count", "many"),
        ("Patient", "_count", "٣"),
        ("Patient", "_count:exact", "1"),
        ("Patient", "_sort", "name"),
        ("Patient", "_sort", "_lastUpdated,birthdate"),
        ("Patient", "_total", "perhaps"),
        ("Patient", "_include", "Nothing:patient"),
        ("Patient", "_include", "ImagingStudy:patient"),
        ("Patient", "_include", "Patient:name"),
        ("Patient", "_include", "Patient:link:Patient:more"),
        ("Patient", "_has:ImagingStudy:patient:identifier", "1"),
        ("Patient", "link.link.link.link.identifier", "1"),
        ("Patient", "identifier.value", "1"),
        ("Patient", "identifier", ",".join("ab" for _ in range(101))),
        ("Patient", "identifier", "a" * 20_000),
    ],
)
def test_what_is_not_supported_is_refused_and_not_ignored(kind: str, name: str, value: str) -> None:
    with pytest.raises(SearchRefused):
        asked(kind, (name, value))


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(SearchRefused):
        asked("Patient", *[("_id", "1")] * 61)


def test_only_the_unknown_is_ignored_on_request() -> None:
    assert asked("Patient", ("colour", "red"), lenient=True).ignored == ("colour",)
    with pytest.raises(SearchRefused):
        asked("Patient", ("birthdate", "red"), lenient=True)


def test_a_page_has_a_bound() -> None:
    assert asked("Patient", ("_count", "999999999")).count == MAX_COUNT


def test_an_order_is_by_time() -> None:
    number = parameters("ImagingStudy")["started"].number
    assert asked("ImagingStudy", ("_sort", "-started")).sort == Sort(number, True)
    assert asked("ImagingStudy", ("_sort", "_lastUpdated")).sort == Sort(None, False)


def test_a_history_has_a_beginning_and_a_bound() -> None:
    assert history([("_since", "2026-01-01T00:00:00Z"), ("_count", "0")]) == (NOW, 1)
    for refused in ("_since", "soon"), ("_at", "2026"), ("name", "Doe"):
        with pytest.raises(SearchRefused):
            history([refused])


def test_numbers_of_parameters_are_told_apart() -> None:
    numbers = {each.number: each.paths for kind in KINDS for each in parameters(kind).values()}
    assert all(each.paths == numbers[each.number] for kind in KINDS for each in parameters(kind).values())
    assert all(0 < number % 200 < 60 for number in numbers), (
        "each has a bit in a mask of 63, and one for its logical twin"
    )


_NAMES = some.sampled_from(
    [name for kind in KINDS for name in parameters(kind)]
    + [
        "_id",
        "_lastUpdated",
        "_sort",
        "_count",
        "_total",
        "_summary",
        "_include",
        "_revinclude",
        "_cursor",
        "_elements",
    ]
)
_WORDS = some.sampled_from(
    ["", ":", ":not", ":missing", ":exact", ":identifier", ".", ".identifier", ":Patient", "*", "|", ",", "\\"]
)


_VALUES = some.sampled_from(["true", "2026-01", "ge2026-02-30", "Patient/1", "a|b,c"])
_NAMED = some.builds(lambda *parts: "".join(parts), _NAMES, _WORDS, some.text(max_size=3))


@given(
    some.sampled_from(KINDS),
    some.lists(some.tuples(_NAMED, some.one_of(some.text(max_size=40), _VALUES)), max_size=5),
    some.booleans(),
)
def test_every_query_is_understood_or_refused(kind: str, query: list[tuple[str, str]], lenient: bool) -> None:
    with contextlib.suppress(SearchRefused):
        assert read(kind, query, NOW, lenient=lenient).kind == kind
