"""What a site has written in place of a value is one of the attribute's."""

import pytest
from pydicom._dicom_dict import DicomDictionary

from services.deid.domain.dictionary import known_vr
from services.deid.domain.keywords import keywords, multiplicity_of
from services.deid.domain.replacing import REPLACEABLE, problem_of
from tests.unit.deid.test_profile import problems


def problem(attribute: str, text: str) -> str | None:
    """Why ``text`` is no value of the attribute."""
    tag = keywords()[attribute]
    vr = known_vr(tag)
    assert vr in REPLACEABLE
    return problem_of(text, tag, vr)


@pytest.mark.parametrize(
    ("attribute", "text", "told"),
    [
        ("StudyDate", "hello", "'hello' is no value of (0008,0020), whose VR is DA: a date, yyyymmdd"),
        ("StudyDate", "20240230", "'20240230' is no value"),
        ("StudyDate", "2024.02.03", "'2024.02.03' is no value"),
        ("StudyTime", "2561", "'2561' is no value"),
        ("StudyTime", "10:11:12", "'10:11:12' is no value"),
        ("AcquisitionDateTime", "noon", "'noon' is no value"),
        ("PatientAge", "42", "'42' is no value"),
        ("PatientSex", "m", "'m' is no value"),
        ("BodyPartExamined", "A_REGION_OF_MANY_WORDS", "'A_REGION_OF_MANY_WORDS' is no value"),
        ("SliceThickness", "thick", "'thick' is no value"),
        ("SliceThickness", "1.23456789012345678", "'1.23456789012345678' is no value"),
        ("SeriesNumber", "1.5", "'1.5' is no value"),
        ("SeriesNumber", "2147483648", "'2147483648' is no value"),
        ("StudyID", "more than sixteen characters", "'more than sixteen characters' is no value"),
        ("StationAETitle", "MORE_THAN_SIXTEEN_", "'MORE_THAN_SIXTEEN_' is no value"),
        ("OperatorsName", "a^b^c^d^e^f", "'a^b^c^d^e^f' is no value"),
        ("RetrieveURL", "no uri", "'no uri' is no value"),
        ("StudyDescription", "one\\two", "(0008,1030) has 1 values, parted by '\\', and 'one\\two' has 2"),
        ("PixelSpacing", "1", "(0028,0030) has 2 values, parted by '\\', and '1' has 1"),
        ("ImageOrientationPatient", "1\\0\\0", "(0020,0037) has 6 values"),
        ("ImageType", "DERIVED", "(0008,0008) has 2-n values"),
        ("ImageType", "DERIVED\\", "'DERIVED\\' is no value"),
        ("PixelIntensityRelationship", "", "'' is no value"),
        ("WindowCenter", "1\\x", "'1\\x' is no value"),
        ("RequestedImageSize", " ", "' ' is no value"),
    ],
)
def test_a_text_that_is_none_of_its_values_is_refused(attribute: str, text: str, told: str) -> None:
    found = problem(attribute, text)
    assert found is not None and found.startswith(told)


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ("StudyDate", "20240229"),
        ("StudyTime", "101112.5"),
        ("AcquisitionDateTime", "20240229101112.5+0100"),
        ("PatientAge", "042Y"),
        ("PatientSex", "O"),
        ("SliceThickness", "-1.5e-3"),
        ("SeriesNumber", "-2147483648"),
        ("StudyID", "sixteen letters."),
        ("StationAETitle", "CT 1"),
        ("OperatorsName", "a^b^c^d^e=f"),
        ("RetrieveURL", "https://example.org/a?b=c"),
        ("StudyDescription", "head, for a study"),
        ("PatientComments", "one\\two"),
        ("PixelSpacing", "1\\1.0"),
        ("ImageType", "DERIVED\\SECONDARY\\AXIAL"),
        ("WindowCenter", "40\\400"),
    ],
)
def test_a_text_that_is_its_value_is_taken(attribute: str, text: str) -> None:
    assert problem(attribute, text) is None


def test_a_profile_that_would_write_no_value_is_refused_with_its_line() -> None:
    told = problems("attributes:\n- attribute: StudyDate\n  do: replace\n  with: hello")
    assert told == ["8: 'hello' is no value of (0008,0020), whose VR is DA: a date, yyyymmdd"]


@pytest.mark.parametrize("attribute", ["SmallestImagePixelValue", "SpectroscopyData", "FrameOfReferenceUID"])
def test_numbers_in_binary_and_uids_are_replaced_by_no_text(attribute: str) -> None:
    (told,) = problems(f"attributes:\n- {{attribute: {attribute}, do: replace, with: '12'}}")
    assert told.startswith("6: ") and told.endswith("'replace' is not possible")


@pytest.mark.parametrize("rule", ["remove", "empty", "clean", "replace, with: '12'"])
@pytest.mark.parametrize("attribute", ["Rows", "NumberOfFrames", "BitsAllocated"])
def test_what_the_pixels_are_read_by_stays(attribute: str, rule: str) -> None:
    (told,) = problems(f"attributes:\n- {{attribute: {attribute}, do: {rule}}}")
    assert "says how pixels are stored" in told


def test_every_attribute_has_the_number_of_values_that_the_dictionary_gives_it() -> None:
    expected = {tag: entry[1] for tag, entry in DicomDictionary.items() if entry[0] in REPLACEABLE}
    assert {tag: multiplicity_of(tag) for tag in expected} == expected
