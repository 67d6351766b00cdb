"""Codes, their meanings and technical texts: what looks like one and is none does not go out."""

from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from services.deid.domain.codes import coding_of, is_published, standard_meanings
from services.deid.domain.dataset import Element
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from services.deid.domain.rules import standard_rules
from services.deid.domain.technical import is_technical
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, trusting

RULES = standard_rules()
OTHER = "Xaver Zwetschkenbaum"


def cleaned(*options: Option, **attributes: Any) -> Dataset:
    """A slice of Ian Kilmister's with ``attributes`` that may be other people's, de-identified."""
    (slice_,) = make_instances(1, PatientName="Kilmister^Ian", PatientID="MRN8472655", **attributes)
    using = trusting(profile=Profile("chosen", options=frozenset(options)))
    return dcmread(BytesIO(clean(as_file(slice_), using)[1]))


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """The item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def region(value: str, scheme: str, meaning: str, *options: Option) -> Dataset:
    """What becomes of an anatomic region."""
    return cleaned(*options, AnatomicRegionSequence=[coded(value, scheme, meaning)]).AnatomicRegionSequence[0]


@pytest.mark.parametrize(
    ("scheme", "code"),
    [("DCM", "121071"), ("DCM", "CT"), ("SCT", "51185008"), ("LN", "30525-0"), ("UCUM", "mm[Hg]"), ("UCUM", "mL/min"),
     ("SRT", "T-D3000"), ("RADLEX", "RID1302"), ("NCIt", "C94970"), ("SCT", "115347700")],
)  # fmt: skip
def test_codes_of_published_schemes_are_told_by_their_looks(scheme: str, code: str) -> None:
    assert is_published(scheme, code, RULES.public_schemes)


@pytest.mark.parametrize(
    ("scheme", "code"),
    [("DCM", "SMITH"), ("DCM", "12345678"), ("SCT", "123456789"), ("SCT", "51185009"), ("LN", "30525-1"),
     ("UCUM", "Zwetschke"), ("SRT", "T-Smith"), ("RADLEX", "MRN12345"), ("NCIt", "078051120")],
)  # fmt: skip
def test_what_only_claims_to_be_one_is_none(scheme: str, code: str) -> None:
    """Names and numbers of people; the check digits of SNOMED CT and LOINC are looked at."""
    assert not is_published(scheme, code, RULES.public_schemes)


def test_every_code_of_the_standard_is_published() -> None:
    """18,000 codes of PS3.16: one is without its check digit there, some have blanks."""
    for scheme in standard_meanings().keys() & RULES.public_schemes.keys():
        for code in standard_meanings()[scheme]:
            assert is_published(scheme, code, RULES.public_schemes)


def test_an_item_without_a_scheme_has_no_code_of_one() -> None:
    assert not coding_of([Element(0x00080100, "SH", b"121071")], RULES.public_schemes).published


@pytest.mark.parametrize("meaning", ["Thorax", "Thoracic structure (body structure)"])
def test_a_meaning_stays_that_the_scheme_has_or_harmless_words_make(meaning: str) -> None:
    assert region("51185008", "SCT", meaning).CodeMeaning == meaning


@pytest.mark.parametrize(("value", "scheme"), [("51185008", "SCT"), ("121071", "DCM"), ("T-D3000", "SRT")])
@pytest.mark.parametrize("meaning", [f"Thorax of {OTHER}", "Thorax Mr. Lemmy", "Thorax 078-05-1120"])
def test_a_meaning_that_is_another_one_is_cleaned(value: str, scheme: str, meaning: str) -> None:
    """A published scheme is no proof that what stands beside its code is what it means."""
    assert region(value, scheme, meaning).CodeMeaning.split() in (["Thorax"], ["Thorax", "of"])


def test_eponyms_of_the_standard_stay_with_their_code_alone() -> None:
    """Words that are names elsewhere."""
    code, meaning = next(
        (code, meaning) for code, meaning in standard_meanings()["LN"].items() if meaning.startswith("AC, Hadlock")
    )
    assert region(code, "LN", meaning).CodeMeaning == meaning
    assert "Hadlock" not in region("121071", "DCM", meaning).CodeMeaning


@pytest.mark.parametrize(
    ("value", "scheme"),
    [("MRN4711938", "99LOCAL"), ("078-05-1120", "99LOCAL"), ("ZWETSCHKENBAUM", "99LOCAL"), ("123456789", "SCT"),
     ("SMITH", "DCM")],
)  # fmt: skip
def test_a_code_value_that_is_of_no_published_scheme_may_be_anything(value: str, scheme: str) -> None:
    assert region(value, scheme, "Thorax").CodeValue == "REMOVED"


def test_a_technical_code_of_a_private_scheme_stays() -> None:
    out = region("CT7", "99LOCAL", "x")
    assert (out.CodeValue, out.CodingSchemeDesignator, out.CodeMeaning) == ("CT7", "99LOCAL", "REMOVED")
    assert region("CT7", "ZWETSCHKENBAUM", "x").CodingSchemeDesignator == "REMOVED"


@pytest.mark.parametrize(
    "text",
    ["1", "LARGE BOWTIE FIL", "epfid2d1_72", "PSF 3i21s", "0.1Cu 1Al", "SN", "XYZ Gauss6.00", "Siemens head coil", ""],
)
def test_words_of_things_are_technical(text: str) -> None:
    assert is_technical(text, RULES.technical_words)


@pytest.mark.parametrize(
    "text",
    ["078-05-1120", "078051120", OTHER, "Smith", "Mr. Lee", "Ian Lee", "19450417", "MRN4711938", "lem@example.org",
     "Müller", "axial " * 20],
)  # fmt: skip
def test_words_of_people_are_not(text: str) -> None:
    assert not is_technical(text, RULES.technical_words)


@pytest.mark.parametrize("value", ["078-05-1120", OTHER, "4711938"])
@pytest.mark.parametrize("keyword", ["StackID", "GridID", "SequenceName", "PositionReferenceIndicator", "FilterType"])
def test_what_people_fill_in_stays_only_when_it_is_technical(keyword: str, value: str) -> None:
    """No value of theirs is known from the header: other people's."""
    assert cleaned(**{keyword: value}).get(keyword, "") == ""
    assert cleaned(**{keyword: "1"})[keyword].value == "1"


def test_with_descriptors_cleaned_their_harmless_words_stay() -> None:
    assert cleaned(Option.CLEAN_DESCRIPTORS, FilterType=f"lung {OTHER}").FilterType == "lung"


@pytest.mark.parametrize("value", ["Scanner of Mr. Zwetschke", "078-05-1120", "lem@example.org"])
@pytest.mark.parametrize("keyword", ["ManufacturerModelName", "SoftwareVersions", "Manufacturer"])
def test_names_of_devices_stay_unless_their_shape_tells(keyword: str, value: str) -> None:
    assert cleaned(**{keyword: value}).get(keyword, "") == ""
    assert cleaned(**{keyword: "DISCOVERY MR750"})[keyword].value == "DISCOVERY MR750"


#: What somebody typed: another patient's number, a sentence with names, a title with a name.
FOREIGN = ("MRN 4711938", "twin of the boy Zwetschkenbaum in bed seven", "Mr. Zwetschkenbaum")


@pytest.mark.parametrize("text", FOREIGN)
def test_retained_text_keeps_no_data_of_others(text: str) -> None:
    """Code K is about the attribute: what its text says is cleaned when it is more than a name of a thing."""
    both = Option.PATIENT_CHARACTERISTICS, Option.DEVICE_IDENTITY
    out = cleaned(*both, EthnicGroup=text, DeviceDescription=text)
    for keyword in ("EthnicGroup", "DeviceDescription"):
        assert not {"4711938", "Zwetschkenbaum"} & set(str(out.get(keyword, "")).split())
    assert cleaned(*both, EthnicGroup="Basque").EthnicGroup == "Basque"


@pytest.mark.parametrize("text", FOREIGN)
def test_a_retained_sequence_is_trusted_to_be_about_a_device_not_with_the_data_of_others(text: str) -> None:
    udi = Dataset()
    udi.UniqueDeviceIdentifier, udi.DeviceDescription, udi.ManufacturerModelName = "(01)0064316900(21)4711", text, text
    item = cleaned(Option.DEVICE_IDENTITY, UDISequence=[udi]).UDISequence[0]
    assert item.UniqueDeviceIdentifier == "(01)0064316900(21)4711"
    assert "Zwetschkenbaum" not in str(item) and "4711938" not in str(item)


@pytest.mark.parametrize("number", ["SN 47119381", "AWP123456789", "(01)00643169007222(17)160711(21)12345"])
def test_the_number_of_a_device_may_look_like_one_of_a_person(number: str) -> None:
    """That is what Retain Device Identity is for; but a sentence is no number."""
    assert cleaned(Option.DEVICE_IDENTITY, DeviceSerialNumber=number).DeviceSerialNumber == number
    out = cleaned(Option.DEVICE_IDENTITY, DeviceSerialNumber=f"{number} of Mr. Zwetschkenbaum")
    assert "Zwetschkenbaum" not in str(out.get("DeviceSerialNumber"))
