"""Values that are none of their VR: what is not a number is no measure, and a number of a case stays known."""

import struct
from collections.abc import Iterable

import pytest

from services.deid.domain.dataset import Element
from services.deid.domain.options import Option
from services.deid.domain.values import is_number
from tests.unit.deid.originals import choosing
from tests.unit.deid.test_memo import file_of, outcome

RETAINING = (Option.PATIENT_CHARACTERISTICS, Option.CLEAN_DESCRIPTORS, Option.MODIFIED_DATES)
BIRTH, STUDY_ID, STACK_ID = 0x00100030, 0x00200010, 0x00209056
#: Slice Thickness, Patient's Weight and Instance Number.
THICKNESS, WEIGHT, INSTANCE_NUMBER = 0x00180050, 0x00101030, 0x00200013


def what_is_out(elements: Iterable[Element]) -> bytes:
    """The bytes of an object with these attributes as it goes out under options that retain much."""
    file, *_ = outcome(choosing(*RETAINING), file_of(list(elements)))
    assert isinstance(file, bytes), file
    return file


@pytest.mark.parametrize("written", [b"17.08.1953", b"1953-08-17", b"53-08-17", b"17-08-1953", b"1.5\\17.08.1953"])
@pytest.mark.parametrize(("tag", "vr"), [(THICKNESS, "DS"), (WEIGHT, "DS"), (INSTANCE_NUMBER, "IS")])
def test_a_date_of_birth_in_the_characters_of_numbers_goes(tag: int, vr: str, written: bytes) -> None:
    out = what_is_out([Element(BIRTH, "DA", b"19530817"), Element(tag, vr, written)])
    assert written.split(b"\\")[-1] not in out


@pytest.mark.parametrize("value", [b"089-4417-225", b"+49 89 4417", b"1.2.3", b"1-2", b"--1", b"E", b"1e", b"."])
def test_what_has_only_the_characters_of_numbers_is_none(value: bytes) -> None:
    assert not is_number(value)


@pytest.mark.parametrize("value", [b"", b" ", b"1", b"-1.5E+03 ", b" 0.5\\.5\\5.\0", b"+7\\\\1e-05", b"007"])
def test_numbers_are_as_ds_and_is_write_them(value: bytes) -> None:
    assert is_number(value)


@pytest.mark.parametrize(("tag", "vr"), [(0x00720082, "SV"), (0x00720083, "UV"), (0x0008040C, "UV")])
@pytest.mark.parametrize("text", [b"Zwetschkenbaum Xaver    ", b"Xaver Zwetschkenbaum, geb. 1953 "])
def test_text_in_numbers_of_64_bits_goes(tag: int, vr: str, text: bytes) -> None:
    assert text not in what_is_out([Element(tag, vr, text)])


@pytest.mark.parametrize(("tag", "vr", "code"), [(0x00720082, "SV", "<q"), (0x00720083, "UV", "<Q")])
def test_numbers_of_64_bits_are_searched_for_those_of_the_study(tag: int, vr: str, code: str) -> None:
    own, other = (struct.pack(code, number) for number in (55120937, 55120938))
    study = Element(STUDY_ID, "SH", b"55120937")
    assert own not in what_is_out([study, Element(tag, vr, own)])
    assert other in what_is_out([study, Element(tag, vr, other)])


@pytest.mark.parametrize("vr", ["LO", "UT", "CS"])
@pytest.mark.parametrize("tag", [0x00660016, 0x54001010, 0x00283006])
def test_text_in_place_of_a_table_goes(tag: int, vr: str) -> None:
    """Point Coordinates Data, Waveform Data and LUT Data."""
    assert b"ZWETSCHKENBAUM" not in what_is_out([Element(tag, vr, b"ZWETSCHKENBAUM X")])
    assert b"\1\2\3\4\5\6\7\x08" in what_is_out([Element(0x00660016, "OF", b"\1\2\3\4\5\6\7\x08")])


def test_text_in_place_of_a_retained_number_is_not_taken_for_one() -> None:
    """Pregnancy Status is a number of two bytes."""
    option = Option.PATIENT_CHARACTERISTICS
    file, *_ = outcome(choosing(option), file_of([Element(0x001021C0, "LO", b"Li Wu ")]))
    assert b"Li Wu" not in file


@pytest.mark.parametrize("vr", ["DA", "DT", "TM", "LO", "UN", "IS"])
@pytest.mark.parametrize("tag", [STUDY_ID, 0x00080050, 0x00101000])
def test_a_number_of_a_case_is_known_whatever_its_vr_says(tag: int, vr: str) -> None:
    """Study ID, Accession Number and Other Patient IDs; Stack ID may hold such a word."""
    value = b"Q41RRT"
    assert value in what_is_out([Element(STACK_ID, "SH", value)])
    assert value not in what_is_out([Element(tag, vr, value), Element(STACK_ID, "SH", value)])


def test_such_a_number_is_known_beyond_the_length_of_a_date() -> None:
    own, shared = b"QRRT41QRRT27", b"QRRT41QRRT28"
    case = Element(STUDY_ID, "DA", own)
    assert own not in what_is_out([case, Element(STACK_ID, "SH", own)])
    assert shared in what_is_out([case, Element(STACK_ID, "SH", shared)])


@pytest.mark.parametrize("uid", [b"1.2.276.17.8.1953", b"1.2.276.1953.8.17.4", b"1.2.276.8.17.1953"])
def test_a_date_in_three_components_of_a_uid_that_would_stay_goes(uid: bytes) -> None:
    """Related General SOP Class UID."""
    assert uid not in what_is_out([Element(BIRTH, "DA", b"19530817"), Element(0x0008001A, "UI", uid)])


@pytest.mark.parametrize("uid", [b"1.3.12.2.1107.5.9.1", b"1.2.276.1953.8.18"])
def test_components_that_are_no_date_stay(uid: bytes) -> None:
    """That of Siemens might be read as 1 March 2012."""
    assert uid in what_is_out([Element(BIRTH, "DA", b"20120301"), Element(0x0008001A, "UI", uid)])
