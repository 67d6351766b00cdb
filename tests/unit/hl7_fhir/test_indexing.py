"""What resources are found by, and how dates compare."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.hl7_fhir.domain.fhir import dates
from services.hl7_fhir.domain.fhir.dates import ABSENT, LATEST, WIDTHS, Range, asked
from services.hl7_fhir.domain.fhir.indexing import bounded, normal, rows
from services.hl7_fhir.domain.fhir.parameters import LOGICAL, parameters

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 86_400_000


def of(kind: str, body: dict) -> dict[str, set]:
    """Values by parameter."""
    names = {each.number: name for name, each in reversed(list(parameters(kind).items()))}
    names |= {number + LOGICAL: f"{name}:identifier" for number, name in list(names.items())}
    found = rows(kind, body)
    told: dict[str, set] = {}
    for number, value, *rest in [*found.tokens, *found.strings, *found.dates]:
        told.setdefault(names[number], set()).add((value, *rest))
    return told


def test_elements_of_every_kind_become_rows() -> None:
    told = of(
        "Patient",
        {
            "identifier": [{"system": "urn:oid:1.2", "value": "P1"}, {"system": "urn:oid:1.2"}],
            "active": True,
            "gender": "female",
            "name": [{"family": "Müller", "given": ["Zoë", "Q"]}, {"text": "Doe, Jane"}],
            "telecom": [{"system": "phone", "value": "555"}, {"system": "email", "value": "a@b.example"}],
            "link": [{"type": "replaced-by", "other": {"reference": "Patient/p2/_history/3"}}],
            "generalPractitioner": [{"identifier": {"value": "GP"}}, {"reference": "#inside"}],
        },
    )
    assert told["identifier"] == {("P1", "urn:oid:1.2")}
    assert told["active"] == {("true", "")}
    assert told["gender"] == {("female", "http://hl7.org/fhir/administrative-gender")}
    assert told["family"] == {("muller", "Müller")}
    assert told["given"] == {("zoe", "Zoë"), ("q", "Q")}
    assert told["name"] == {("doe, jane", "Doe, Jane")}
    assert told["phone"] == {("555", "")}
    assert told["link"] == {("Patient/p2", "")}
    assert told["general-practitioner:identifier"] == {("GP", "")}
    assert "general-practitioner" not in told


def test_codes_have_their_systems() -> None:
    coded = {"coding": [{"system": "s", "code": "a"}, {"system": "t", "code": "b"}], "text": "words"}
    assert of("ServiceRequest", {"code": coded})["code"] == {("a", "s"), ("b", "t")}


def test_a_date_without_a_value_still_has_its_place_in_the_order() -> None:
    assert of("ImagingStudy", {})["started"] == {(len(WIDTHS), ABSENT, ABSENT)}
    assert rows("ImagingStudy", {}).present == 0
    assert "birthdate" not in of("Patient", {})


def test_a_name_of_which_parts_are_known_is_present_as_a_whole() -> None:
    mask = parameters("Patient")["name"].bit
    assert rows("Patient", {"name": [{"family": "Doe"}]}).present & mask
    assert not rows("Patient", {"gender": "male"}).present & mask


def test_values_too_long_for_an_index_and_letters_that_a_database_refuses_are_kept_otherwise() -> None:
    assert len(bounded("x" * 1000)) < 100
    assert bounded("ü" * 1000) != bounded("ü" * 999)
    assert bounded("a\0b") == "ab"
    assert bounded("\ud800").isprintable()
    assert len(normal("ﷺ" * 500).encode()) <= 300


@pytest.mark.parametrize(
    ("text", "low", "width"),
    [
        ("1970", 0, 365 * DAY),
        ("1972-02", 761 * DAY, 29 * DAY),
        ("1970-12", 334 * DAY, 31 * DAY),
        ("1970-01-02", DAY, DAY),
        ("1970-01-02T00:00", DAY, 60_000),
        ("1970-01-02T00:00:00+01:00", DAY - 3_600_000, 1000),
        ("1970-01-01T00:00:00.5Z", 500, 1),
        ("1970-01-01T00:00:00.123456789Z", 123, 1),
    ],
)
def test_a_date_covers_what_its_precision_says(text: str, low: int, width: int) -> None:
    assert dates.read(text) == Range(low, low + width)


@pytest.mark.parametrize(
    ("prefix", "matches"),
    [
        ("eq", "day"),
        ("ne", "before after year open"),
        ("gt", "after year open"),
        ("lt", "before year"),
        ("ge", "day after year open"),
        ("le", "day before year"),
        ("sa", "after"),
        ("eb", "before"),
    ],
)
def test_prefixes_compare_ranges(prefix: str, matches: str) -> None:
    """R4 section 3.1.1.4.7, asked for 1970-01-03."""
    known = {
        "day": Range(2 * DAY, 3 * DAY),
        "before": Range(DAY, 2 * DAY),
        "after": Range(3 * DAY, 4 * DAY),
        "year": Range(0, 365 * DAY),
        "open": Range(2 * DAY, LATEST),
    }
    wanted = asked(f"{prefix}1970-01-03", NOW)
    assert {name for name, each in known.items() if compared(wanted, each)} == set(matches.split())


def compared(wanted: dates.Asked, known: Range) -> bool:
    """What the standard says in words."""
    low, high = wanted.range.low, wanted.range.high
    contained = low <= known.low and known.high <= high
    above, below = known.high > high, known.low < low
    return {
        "eq": contained,
        "ne": not contained,
        "gt": above,
        "lt": below,
        "ge": above or contained,
        "le": below or contained,
        "sa": known.low >= high,
        "eb": known.high <= low,
        "ap": known.low < high and known.high > low,
    }[wanted.prefix]


@given(
    some.sampled_from(sorted(dates.PREFIXES)),
    some.sampled_from(["1970", "1970-02", "1970-02-03", "1970-02-03T10:00:00Z"]),
    some.integers(-400, 800),
    some.integers(1, 500 * 24),
)
def test_what_matches_lies_within_the_bounds_that_lead_to_it(prefix: str, text: str, day: int, hours: int) -> None:
    known = Range(day * DAY, day * DAY + hours * 3_600_000)
    wanted = asked(prefix + text, NOW)
    if compared(wanted, known):
        first, last = wanted.lows(WIDTHS[known.width_class])
        assert first <= known.low <= last
