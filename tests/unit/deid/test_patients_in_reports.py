"""What content items say of the patient and of others, under whatever code and in whatever value type."""

from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from services.deid.domain.options import Option
from tests.support.instances import as_file, make_instances
from tests.unit.deid.content_items import STRUCTURED, cleaned, code, content_item, measured, using
from tests.unit.deid.originals import clean

AGES = [("121033", "DCM", "Subject Age"), ("30525-0", "LN", "Age"), ("424144002", "SCT", "Current chronological age")]


@pytest.mark.parametrize("name", AGES)
def test_an_age_is_one_under_any_code_and_capped_where_it_is_retained(name: tuple[str, str, str]) -> None:
    """45 CFR 164.514(b)(2)(i)(C): from 90 years on they are one, in whatever unit."""

    def ages(*options: Option) -> list[Any]:
        numbers = [("89", "a"), ("93", "a"), ("1128", "mo"), ("34000", "d"), ("93", "?")]
        items = [content_item("NUM", name, measured(*number), []) for number in numbers]
        items[1].MeasuredValueSequence[0].FloatingPointValue = 93.0
        found = [each.MeasuredValueSequence for each in cleaned(items, STRUCTURED, *options).ContentSequence]
        assert not options or "FloatingPointValue" not in found[1][0]
        return [sequence[0].NumericValue if sequence else None for sequence in found]

    assert ages() == [None] * 5
    assert ages(Option.PATIENT_CHARACTERISTICS) == [89, 90, 1080, 32872, 90]


def test_a_number_of_years_that_only_a_life_has_is_an_age() -> None:
    """Under a concept that nobody knows; half-lives and distances are none."""
    unknown = ("77", "99LOCAL", "x")
    numbers = [("93", "a"), ("45", "a"), ("1600", "a"), ("93", "mm")]
    items = [content_item("NUM", unknown, measured(*number), []) for number in numbers]
    out = cleaned(items, STRUCTURED).ContentSequence
    assert [each.MeasuredValueSequence[0].NumericValue for each in out] == [90, 45, 1600, 93]


@pytest.mark.parametrize("name", AGES)
@pytest.mark.parametrize("text", ["93", "93 years", "aged 93"])
def test_an_age_in_words_is_capped_too(name: tuple[str, str, str], text: str) -> None:
    items = [content_item("TEXT", name, {"TextValue": each}, []) for each in (text, "71 years")]
    old, young = cleaned(items, STRUCTURED, Option.PATIENT_CHARACTERISTICS).ContentSequence
    assert (old.TextValue, young.TextValue) == ("REMOVED", "71 years")


def test_who_the_patient_is_goes_under_any_code_and_value_type() -> None:
    """A birth date as text or under LOINC, with all dates retained."""
    birth, name = ("21112-8", "LN", "Birth date"), ("54125-0", "LN", "Patient name")
    items = [
        content_item("DATE", birth, {"Date": "20200102"}, []),
        content_item("DATETIME", ("121031", "DCM", "Subject Birth Date"), {"DateTime": "20200102"}, []),
        content_item("TEXT", birth, {"TextValue": "January"}, []),
        content_item("TEXT", name, {"TextValue": "Long"}, []),
        content_item("CODE", ("46098-0", "LN", "Sex"), {"ConceptCodeSequence": [code("M", "DCM", "Male")]}, []),
    ]
    day, moment, text, named, sex = cleaned(items, STRUCTURED, Option.FULL_DATES).ContentSequence
    assert (day.Date, moment.DateTime) == ("19000101", "19000101000000")
    assert (text.TextValue, named.TextValue) == ("REMOVED", "REMOVED")
    assert sex.ConceptCodeSequence[0].CodeMeaning == "Unknown"


def test_the_number_of_an_item_itself_goes_where_that_of_a_measurement_does() -> None:
    """An acquisition context has no measured values (PS3.3 section 10.2)."""
    item = content_item("NUM", ("30525-0", "LN", "Age"), {"NumericValue": "93", "FloatingPointValue": 93.0}, [])
    item.MeasurementUnitsCodeSequence = [code("a", "UCUM", "year")]

    def age(*options: Option) -> Dataset:
        (slice_,) = make_instances(1, AcquisitionContextSequence=[item])
        out = dcmread(BytesIO(clean(as_file(slice_), using(STRUCTURED, *options))[1])).AcquisitionContextSequence[0]
        assert "FloatingPointValue" not in out
        return out.NumericValue

    assert (age(), age(Option.PATIENT_CHARACTERISTICS)) == (0, 90)


def test_an_item_of_an_unknown_value_type_becomes_an_empty_text_in_its_place() -> None:
    """Nobody can say what its value tells; what hangs from it is cleaned like the rest."""
    below = content_item("NUM", ("410668003", "SCT", "Length"), measured("71.8", "mm"), [])
    item = content_item("PICTURE", ("121071", "DCM", "Finding"), {"TextValue": "lung", "NumericValue": "7"}, [below])
    nothing = Dataset()
    nothing.RelationshipType, nothing.ReferencedContentItemIdentifier = "INFERRED FROM", [1, 1]
    unknown, reference = cleaned([item, nothing], STRUCTURED).ContentSequence
    assert (unknown.ValueType, unknown.TextValue, unknown.get("NumericValue")) == ("TEXT", "REMOVED", None)
    assert unknown.ContentSequence[0].MeasuredValueSequence[0].NumericValue == 71.8
    assert "ValueType" not in reference and list(reference.ReferencedContentItemIdentifier) == [1, 1]


def test_what_a_private_code_means_is_free_text() -> None:
    """And so is its value, and a meaning beside a published code."""
    other = "Zwetschkenbaum"
    values = [("MRN4711938", "99LOCAL", f"twin of {other}"), ("51185008", "SCT", f"Thorax {other}")]
    items = [
        content_item("CODE", ("121071", "DCM", "Finding"), {"ConceptCodeSequence": [code(*value)]}, [])
        for value in values
    ]
    items += [content_item("TEXT", ("MRN4711938", "99LOCAL", other), {"TextValue": f"lung of {other}"}, [])]
    local, public, text = cleaned(items, STRUCTURED, Option.CLEAN_DESCRIPTORS).ContentSequence
    assert local.ConceptCodeSequence[0].CodeValue == text.ConceptNameCodeSequence[0].CodeValue == "REMOVED"
    assert public.ConceptCodeSequence[0].CodeMeaning == "Thorax"
    assert text.TextValue.split()[0] == "lung"
    assert other not in f"{local}{public}{text}"


def test_retained_values_keep_what_they_are_about_and_no_data_of_others() -> None:
    """Code K of Table E.3.4-1."""
    serial, described = ("121016", "DCM", "Device Observer Serial Number"), ("120999", "DCM", "Device Description")
    items = [
        content_item("TEXT", serial, {"TextValue": "47119381"}, []),
        content_item("TEXT", described, {"TextValue": "left to us by Mr. Zwetschkenbaum"}, []),
    ]
    number, text = cleaned(items, STRUCTURED, Option.DEVICE_IDENTITY).ContentSequence
    assert number.TextValue == "47119381"
    assert "Zwetschkenbaum" not in text.TextValue
