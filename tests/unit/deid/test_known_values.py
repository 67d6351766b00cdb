"""Names, numbers and dates of a study, in whatever way a text or a number repeats them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deid.domain.dataset import Element
from services.deid.domain.dictionary import known_vr
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.known_values import parts_of
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from services.deid.domain.rules import standard_rules


def study(*elements: Element, profile: Profile | None = None) -> Identifiers:
    """The identifiers of a data set whose texts are UTF-8."""
    rules = standard_rules()
    found = Identifiers(rules.under(profile) if profile else rules)
    found.note_all([Element(0x00080005, "CS", b"ISO_IR 192"), *elements])
    return found


def named(name: str) -> Identifiers:
    """The identifiers of a patient with this name."""
    return study(Element(0x00100010, "PN", name.encode()))


def numbered(number: str) -> Identifiers:
    """The identifiers of a patient with this ID."""
    return study(Element(0x00100020, "LO", number.encode()))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MÜLLER-LÜDENSCHEIDT^ANNE", "Lüdenscheidt"),
        ("MÜLLER-LÜDENSCHEIDT^ANNE", "Luedenscheidt"),
        ("MÜLLER-LÜDENSCHEIDT^ANNE", "LUDENSCHEIDT"),
        ("MÜLLER-LÜDENSCHEIDT^ANNE", "mueller luedenscheidt"),
        ("MÜLLER-LÜDENSCHEIDT^ANNE", "A.Müller"),
        ("Mueller_Luedenscheidt^Anne", "lüdenscheidt"),
        ("Mueller.Luedenscheidt^Anne", "lüdenscheidt"),
        ("O’BRIEN^MARY", "O'Brien"),
        ("O’BRIEN^MARY", "OBRIEN"),
        ("O‘BRIEN^MARY", "O BRIEN"),
        ("O\u02bcBRIEN^MARY", "o’brien"),
        ("O'Brien^Mary", "Brien"),
        ("Kim-Lee^Anna", "LeeAnna"),
        ("Kim-Lee^Anna", "A. Lee"),
        ("Li-Na^Ho", "LiNaHo"),
        ("O'Ng^Al", "Al Ong"),
        ("García_Lorca^José", "LORCA"),
        ("Al-Hassan^Omar", "Hassan"),
        ("Jean‐Luc^Zoé", "Jean"),
        ("Tanaka^Jon=ジョン・スミス", "スミス"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "ヤマダ"),
        ("Yamada^Tarou=山田^太郎=ヤマダ^タロウ", "やまだ"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "やまだ"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "홍길동"),
    ],
)
def test_each_part_of_a_double_name_is_found_in_every_spelling(name: str, text: str) -> None:
    """Hyphens, apostrophes and what else parts a name; the ideographic and the phonetic group of components."""
    assert named(name).in_text(f"chest {text} 2")


@pytest.mark.parametrize("name", ["MÜLLER-LÜDENSCHEIDT^ANNE", "Müller_Lüdenscheidt^Anne", "Müller’Lüdenscheidt^Anne"])
def test_each_part_of_a_double_name_is_found_in_encoded_headers(name: str) -> None:
    assert named(name).in_header("LO\x10\0von LÜDENSCHEIDT".encode())
    assert not named(name).in_header(b"LO\x10\0von Schneider")


def test_what_parts_a_double_name_leaves_short_parts_that_prove_nothing() -> None:
    assert not named("Kilmister-Lee^Ian").in_text("Lee Iain ter mister")


def test_a_letter_alone_is_no_part() -> None:
    """Beside another it would make pairs that are words: ann and o."""
    assert list(parts_of("O'Brien^Mary-Ann^^Dr.")) == [("O'Brien", ["Brien"]), ("Mary-Ann", ["Mary", "Ann"])]
    assert not named("O'Ann^Mary").in_text("anno domini")


def test_the_numbers_within_a_name_are_numbers() -> None:
    """A trial calls its subjects so; parts of other numbers, such as codes, are none of them."""
    names = named("TRIAL-01-0003")
    assert names.in_text("subject 0003")
    assert names.in_text("trial 01 0003")
    for code in ("M-80003", "126010", "0101", "10003"):
        assert not names.in_text(code)
        assert not names.in_header(b"SH\x08\0" + code.encode())


@pytest.mark.parametrize(
    "text",
    [
        "12345.2", "12345.", "ID12345-1", "ID12345.1", "no. 12345/2", "1.2.12345.7", "12345.7.1", "x_12345",
        "0012345.2", "12345A",
    ],
)  # fmt: skip
def test_a_number_is_found_as_a_component(text: str) -> None:
    """With a suffix, a check digit or a series' number behind it."""
    assert numbered("12345").in_text(f"acquired {text}")
    assert numbered("12345").in_header(f"LO\x10\0acquired {text} ".encode())


@pytest.mark.parametrize("text", ["9123456789", "123456", "812345", "0.12345", "17.12345 mm", "1234", "0.0012345"])
def test_digits_within_a_longer_number_or_a_fraction_prove_nothing(text: str) -> None:
    """Of 91234567 no four digits are a number of their own; a fraction is what a division leaves."""
    assert not numbered("12345").in_text(text)
    assert not numbered("12345").in_header(f"DS\x10\0{text} ".encode())


BIRTH = Element(0x00100030, "DA", b"19860103")
STUDY = Element(0x00080020, "DA", b"20260131")


@pytest.mark.parametrize(
    "text",
    [
        "20260131", "2026-01-31", "31.01.2026", "31JAN2026", "31 JAN 2026", "31_JAN_2026", "2026_01_31", "01/31/2026",
        "31.1.26", "260131", "310126", "013126", "20260131120000", "2026013112", "260131120000", "STUDY20260131A",
        "20260131.0", "v2.20260131", "2026\\01\\31", "2026年1月31日", "2026년 1월 31일", "２０２６０１３１",
        "January 31, 2026", "31. Jänner 2026", "31 janv. 2026", "2026 Jan 31", "JAN/31/26", "31 de enero de 2026",
        "1.31.1.2026", "2026:01:31 12:00:00", "2026,01,31", "31-I-2026", "31. i. 26", "2026/I/31",
    ],
)  # fmt: skip
def test_a_date_of_the_study_is_found_in_every_form(text: str) -> None:
    """Study, series and acquisition are dated as birth is."""
    for tag, vr in ((0x00080020, "DA"), (0x00080021, "DA"), (0x00080022, "DA"), (0x0008002A, "DT")):
        assert study(Element(tag, vr, b"20260131")).in_text(f"of {text} "), hex(tag)
    assert study(BIRTH._replace(value=b"20260131")).in_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "20260130", "202601311", "920260131", "2026013199", "0.260131", "260131.5", "2026", "31.01.", "1.31.1.26",
        "31.1.26.2", "JAN 31", "3101", "2026-01-310", "31-01-2027", "131JAN2026", "26:01:31", "1,31,26", "2026:01,31",
        "31-II-2026", "31I26", "I31 26", "1-XXXI-26",
    ],
)  # fmt: skip
def test_other_numbers_and_parts_of_a_date_are_none(text: str) -> None:
    assert not study(STUDY).in_text(text)


def test_dates_of_acr_nema_and_of_every_value_count() -> None:
    """PS3.5 section 6.2 allows 2026.01.31 to be read; a DT has its time behind the date."""
    assert study(STUDY._replace(value=b"2026.01.31")).in_text("20260131")
    assert study(Element(0x0008002A, "DT", b"20260130120000.5\\20260131")).in_text("31.01.2026")


def test_a_date_that_stays_is_not_searched() -> None:
    """Nor is the date of birth of a newborn: it is the study's."""
    full = Profile("full", options=frozenset({Option.FULL_DATES}))
    assert not study(STUDY, profile=full).in_text("20260131")
    assert not study(STUDY, BIRTH._replace(value=b"20260131"), profile=full).in_text("20260131")
    assert study(STUDY, BIRTH, profile=full).in_text("19860103")


def test_a_date_that_is_moved_is_searched() -> None:
    """The original must not appear."""
    modified = Profile("modified", options=frozenset({Option.MODIFIED_DATES}))
    assert study(STUDY, profile=modified).in_text("20260131")


def test_the_date_of_a_dummy_is_none() -> None:
    assert not study(STUDY._replace(value=b"19000101")).in_text("19000101")


@given(st.text(alphabet="0126JAN./- \\_3", max_size=60))
def test_places_of_dates_lie_within_the_text(text: str) -> None:
    for start, end in study(STUDY).spans(text):
        assert 0 <= start < end <= len(text)


@pytest.mark.parametrize(
    "value",
    [
        "20260131", "20260131.0", "+20260131", "2.0260131E7", "31012026", "1\\20260131", "20260131120000", "123456",
        "0123456", "123456.7", "8876171",
    ],
)  # fmt: skip
def test_a_decimal_that_is_a_date_or_a_long_number_is_found(value: str) -> None:
    names = study(
        STUDY, Element(0x00100020, "LO", b"123456"), Element(0x00102154, "SH", b"(430) 887-6171"), Element(1, "US")
    )
    assert names.in_decimals(value.encode())


@pytest.mark.parametrize("value", ["1024", "1024.5", "0.123456", "1.123456", "12345", "-1024\\1024", "260131", ""])
def test_a_decimal_of_few_digits_is_a_measure(value: str) -> None:
    """Window Center 1024 is no Study ID, and a spacing of 0.260131 no date."""
    names = study(STUDY, *(Element(0x00100020, "LO", each) for each in (b"1024", b"12345", b"123456")))
    assert not names.in_decimals(value.encode())


@pytest.mark.parametrize(("vr", "code"), [("UL", "I"), ("SL", "i"), ("FL", "f"), ("FD", "d"), ("UV", "Q"), ("SV", "q")])
@pytest.mark.parametrize("order", "<>")
def test_a_stored_number_that_is_a_date_is_found(vr: str, code: str, order: str) -> None:
    """In either byte order; a float of four bytes rounds it."""
    names = study(STUDY, Element(0x00200010, "SH", b"1024"))
    assert names.in_numbers(struct.pack(f"{order}3{code}", 1024, 20260131, 7), vr)
    assert not names.in_numbers(struct.pack(f"{order}3{code}", 1024, 20260129, 7), vr)


@pytest.mark.parametrize("value", [b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff", b"", b"\xff" * 8])
@pytest.mark.parametrize("vr", ["FL", "FD", "UL", "US", "AT"])
def test_numbers_of_any_bytes_are_read(vr: str, value: bytes) -> None:
    """No number, infinite, cut."""
    assert not study(STUDY).in_numbers(value, vr)


@pytest.mark.parametrize(
    "uid", ["1.2.826.12345.7", "1.2.826.20260131.1", "1.2.826.1.20260131120000123", "1.2.3\\1.2.12345"]
)
def test_a_number_or_date_is_found_as_a_component_of_a_uid(uid: str) -> None:
    assert study(STUDY, Element(0x00100020, "LO", b"12345")).in_uids(uid.encode())


@pytest.mark.parametrize(
    "uid",
    ["1.2.840.10008.5.1.4.1.1.2", "1.3.12.2.1107.5.2", "1.2.826.123456", "1.2.826.9912345", "2.25.2026013199", "1.2.3"],
)
def test_the_standards_own_uids_and_arcs_of_few_digits_are_nobodys(uid: str) -> None:
    """10008 is DICOM's, 1107 a vendor's."""
    noted = (Element(0x00100020, "LO", each) for each in (b"12345", b"10008", b"1107"))
    assert not study(STUDY, *noted).in_uids(uid.encode())


@pytest.mark.parametrize(
    ("tag", "value", "name"),
    [
        (0x00280004, b"MONOCHROME2", "Chrome^Ian"),
        (0x00280004, b"PALETTE COLOR ", "Palette^Color"),
        (0x00080008, b"ORIGINAL\\PRIMARY\\STATIC", "Static^Primary"),
        (0x00080008, b"ORIGINAL\\PRIMARY\\ANGIO", "Original^Angio"),
        (0x00185100, b"SITTING\0", "Sitting^Bull"),
    ],
)
def test_a_term_of_the_standard_in_its_own_attribute_is_no_name(tag: int, value: bytes, name: str) -> None:
    """It decides how pixels are decoded or what they mean; beside it, or elsewhere, the name is one."""
    names = named(name)
    assert known_vr(tag) == "CS"
    assert not names.in_coded(tag, value)
    assert names.in_coded(0x00700080, value)  # Content Label has none of these
    assert names.in_coded(tag, value.rstrip(b"\0 ") + b"\\" + name.upper().replace("^", "").encode())
