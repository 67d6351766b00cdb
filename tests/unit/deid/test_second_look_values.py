"""The second look finds an identifier in whatever value it stands, and a date however it is written."""

import struct
from io import BytesIO

import pytest
from pydicom import dcmread

from services.deid.domain.looking.scanner import Finding
from services.deid.domain.options import Option
from services.deid.domain.profile import SiteRule, Wish
from tests.support.instances import as_file
from tests.unit.deid.looked_at import changed, kinds, look, original, plain, planted
from tests.unit.deid.originals import choosing, clean


@pytest.mark.parametrize(
    ("tag", "vr", "value", "kind"),
    [
        (0x00200013, "IS", b"778899", "identifier"),  # the digits of ACC778899
        (0x00200013, "IS", b"+000481516", "identifier"),  # those of QX-48/1516
        (0x00181020, "IS", b"880117", "digits"),
        (0x00189073, "DS", b"1\\7.78899E5", "identifier"),
        (0x00189073, "DS", b"1\\778899.0 ", "identifier"),
        (0x00200013, "IS", b"19700101", "date"),  # the birth date
        (0x00200013, "IS", b"20210403", "date"),  # the study date
        (0x00189073, "DS", b"20210403101500", "date"),
        (0x00189219, "SL", struct.pack("<ii", 1, -20210403), "date"),
        (0x00186011, "UL", struct.pack("<I", 778899), "identifier"),
        (0x00189073, "FD", struct.pack("<d", 19700101.0), "date"),
        (0x00189073, "FL", struct.pack("<f", 481516.0), "identifier"),
        (0x00189073, "UV", struct.pack("<Q", 358401234567), "phone"),
        (0x00189073, "SV", struct.pack("<q", 481516), "identifier"),
        (0x00291001, "UL", struct.pack("<II", 7, 778899), "identifier"),
        (0x00080020, "DA", b"19700101", "date"),  # Study Date, and not as it was
        (0x00080020, "DA", b"20210403", "date"),
        (0x00080021, "DA", b"19000101\\20210403", "date"),
        (0x0008002A, "DT", b"20210403101500.000000", "date"),
        (0x00181030, "LO", b"of 03.04.2021", "date"),
        (0x00181030, "LO", b"of 4/3/2021", "date"),
        (0x00181030, "LO", b"img20210403101500", "date"),
        (0x00181030, "LO", b"of 2021/04/03", "date"),
    ],
)
def test_numbers_and_dates_are_found_however_they_are_coded(tag: int, vr: str, value: bytes, kind: str) -> None:
    """Identifiers of six digits and more, dates of the patient and of the study."""
    before, clear = plain()
    after = planted(clear, tag, vr, value)
    assert Finding(f"({tag >> 16:04x},{tag & 0xFFFF:04x})", kind) in look(before, after)


def test_short_numbers_and_numbers_that_are_parts_of_others_are_no_finding() -> None:
    """Five digits are too few; fractions, longer numbers and tables of numbers say nothing."""
    before = as_file(original(StudyID="12345", AdmissionID="000123456"))
    clear = clean(before)[1]
    for vr, value in [("IS", b"12345"), ("DS", b"0.123456\\9123456\\12345.6"), ("FD", struct.pack("<d", 0.123456))]:
        assert look(before, planted(clear, 0x00189073, vr, value)) == ()
    assert look(before, planted(clear, 0x00189073, "IS", b"123456")) != ()


WRITTEN = ["ascii", "utf_16_le", "utf_16_be"]


@pytest.mark.parametrize("codec", WRITTEN)
@pytest.mark.parametrize("vr", ["OB", "OW", "UN", "LT", "OF"])
@pytest.mark.parametrize("tag", [0x00291001, 0x00281201])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Astrid", "name"),
        ("KURK", "name"),
        ("qx-48/1516", "identifier"),
        ("ACC778899", "identifier"),
        ("880117", "digits"),
        ("20210403", "date"),
        ("1970-01-01", "date"),
        ("03.04.2021", "date"),
    ],
)
def test_bytes_are_searched_in_every_coding_of_letters(codec: str, vr: str, tag: int, text: str, kind: str) -> None:
    """OB, OW, UN and private elements, from four letters on."""
    before, clear = plain()
    value = b"\1\2\3\xff" + text.encode(codec) + b"\0\xff\xff\xfe"
    after = planted(clear, tag, vr, value + bytes(-len(value) % 4))
    assert Finding(f"({tag >> 16:04x},{tag & 0xFFFF:04x})", kind) in look(before, after)


@pytest.mark.parametrize("codec", ["utf_8", *WRITTEN[1:]])
def test_letters_that_are_not_ascii_are_found_in_bytes(codec: str) -> None:
    made = original(SpecificCharacterSet="ISO_IR 192")
    made.PatientName = "Ärligsson^Åke"
    before = as_file(made)
    after = planted(clean(before)[1], 0x00291001, "OB", "xÄRLIGSSON".encode(codec))
    assert Finding("(0029,1001)", "name") in look(before, after)


def test_an_identifier_is_found_in_bytes_without_its_separators() -> None:
    before, clear = plain()
    after = planted(clear, 0x00291001, "OB", b"\0QX481516\0")
    assert Finding("(0029,1001)", "identifier") in look(before, after)


def test_the_file_meta_information_is_looked_at() -> None:
    """The UID of the instance, and what other software writes there."""
    before = original()
    file = as_file(before)
    after = planted(clean(file)[1], 0x00020003, "UI", before.SOPInstanceUID.encode())
    after = planted(after, 0x00020016, "AE", b"LINDQVIST")
    assert {*look(file, after)} == {Finding("(0002,0003)", "uid"), Finding("(0002,0016)", "name")}


def test_the_birth_date_is_searched_where_the_dates_of_the_study_stay() -> None:
    before = as_file(original())
    staying = frozenset((Option.FULL_DATES,))
    after = clean(before, choosing(Option.FULL_DATES))[1]
    assert look(before, after, options=staying) == ()
    assert kinds(look(before, changed(after, PatientBirthDate="19700101"), options=staying)) == {"date"}
    assert kinds(look(before, changed(after, ProtocolName="born 1970-01-01"), options=staying)) == {"date"}


def test_a_moved_date_that_was_another_before_is_no_finding() -> None:
    """Dates are moved by whole weeks: one may come to where another was."""
    before = as_file(original(SeriesDate="20210327"))
    moved = frozenset((Option.MODIFIED_DATES,))
    after = changed(clean(before, choosing(Option.MODIFIED_DATES))[1], StudyDate="20210327", SeriesDate="20210320")
    assert look(before, after, options=moved) == ()
    assert kinds(look(before, after)) == {"date"}
    assert look(before, changed(after, SeriesDate="20210327"), options=moved) == (Finding("(0008,0021)", "date"),)


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("MÜLLER-LÜDENSCHEIDT^ANNE", "by Lüdenscheidt"),
        ("MÜLLER-LÜDENSCHEIDT^ANNE", "by Luedenscheidt"),
        ("MÜLLER-LÜDENSCHEIDT^ANNE", "by LUDENSCHEIDT"),
        ("O’BRIEN^MARY", "by O'Brien"),
        ("O'Brien^Mary", "by OBRIEN"),
        ("Meier_Zorn^Xaver", "by zorn"),
        ("Tanaka^Jon=ジョン・スミス", "スミス"),
    ],
)
def test_each_part_of_a_double_name_is_found(name: str, left: str) -> None:
    """Also without its marks, and with two letters for one."""
    before = as_file(original(SpecificCharacterSet="ISO_IR 192", OperatorsName=name))
    after = changed(clean(before)[1], SpecificCharacterSet="ISO_IR 192", ProtocolName=left)
    assert Finding("(0018,1030)", "name") in look(before, after)


def test_titles_within_a_name_are_no_finding() -> None:
    """Prof. is a title with its stop, too."""
    before = as_file(original(OperatorsName="Meier^Xaver^^Prof."))
    assert look(before, changed(clean(before)[1], ProtocolName="prof")) == ()


def test_the_dates_of_a_newborn_stay_where_the_table_does_not_list_them() -> None:
    """The day of birth is that of the study."""
    before = as_file(original(PatientBirthDate="20210403", StudyUpdateDateTime="20210403101500"))
    after = clean(before, choosing(Option.FULL_DATES))[1]
    assert b"20210403101500" in after
    assert look(before, after, options=frozenset((Option.FULL_DATES,))) == ()


@pytest.mark.parametrize(
    ("option", "attribute", "value"),
    [
        (Option.PATIENT_CHARACTERISTICS, "PreMedication", "Contrast 50 mg oral"),
        (Option.PATIENT_CHARACTERISTICS, "PreMedication", "none given today"),
        (Option.PATIENT_CHARACTERISTICS, "SpecialNeeds", "Oxygen, isolation"),
        (Option.DEVICE_IDENTITY, "StationAETitle", "CT_SCANNER_1"),
    ],
)
def test_the_words_that_an_option_leaves_are_no_finding(option: Option, attribute: str, value: str) -> None:
    """Whichever option has an attribute cleaned; what no chosen one speaks of is searched for all the same."""
    before = as_file(original(**{attribute: value}))
    after = clean(before, choosing(option))[1]
    assert dcmread(BytesIO(after))[attribute].value == value
    assert look(before, after, options=frozenset((option,))) == ()
    assert kinds(look(before, after, options=frozenset((Option.SAFE_PRIVATE,)))) == {"value"}


def test_the_words_that_a_rule_of_the_site_leaves_are_no_finding() -> None:
    needs = 0x00380050
    before, after = as_file(original(SpecialNeeds="Oxygen, isolation")), plain()[1]
    after = planted(after, needs, "LO", b"Oxygen, isolation")
    assert look(before, after, attributes={needs: SiteRule(Wish.CLEAN)}) == ()
    chosen = frozenset((Option.PATIENT_CHARACTERISTICS,))
    assert kinds(look(before, after, options=chosen, attributes={needs: SiteRule(Wish.REMOVE)})) == {"value"}
