"""The second look for the source's own identifiers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deid.domain.dataset import Element, TooMuch
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.known import LONGEST
from services.deid.domain.rules import standard_rules
from services.deid.domain.spelled import MOST, WINDOW


def known(name: bytes = b"Kilmister^Ian", patient_id: bytes = b"12-3456/7", study_id: bytes = b"4711") -> Identifiers:
    """The identifiers of one patient."""
    found = Identifiers(standard_rules())
    found.note_all(
        [
            Element(0x00100010, "PN", name),
            Element(0x00100020, "LO", patient_id),
            Element(0x00200010, "SH", study_id),
        ]
    )
    return found


@pytest.mark.parametrize(
    "value", [b"THORAX_KilmisterIan_std", b"kilmister", b"MRN 12-3456/7", b"MRN1234567x", b"study 4711."]
)
def test_an_identifier_is_found_in_any_case_and_without_its_separators(value: bytes) -> None:
    """As operators type it into descriptions."""
    assert known().in_value(value)


@pytest.mark.parametrize("value", [b"THORAX", b"Ian", b"147112", b"0.4711", b"Siemens"])
def test_short_strings_and_parts_of_longer_numbers_prove_nothing(value: bytes) -> None:
    """Else technical values would be lost by chance."""
    assert not known().in_value(value)


def test_common_words_and_dummies_are_no_identifiers() -> None:
    """A patient called Head does not empty Body Part Examined."""
    found = known(name=b"Head^Test", patient_id=b"REMOVED", study_id=b"0000")
    assert not found.in_value(b"HEAD TEST REMOVED 0000")


def test_digits_of_new_uids_do_not_count() -> None:
    """They are random: a short number would be found in them sooner or later."""
    assert not known().in_header(b"UI\x10\x002.25.99.4711".replace(b".99", b"") + b"\0")
    assert known().in_header(b"LO\x04\x00 4711 ")


def test_names_are_collected_at_every_depth() -> None:
    """A corrected name stands in Original Attributes, as UN in files of older software."""
    found = Identifiers(standard_rules())
    nested = (Element(0x00081050, "UN", b"Hawkwind^Dave"),)
    found.note_all([Element(0x00081115, "SQ", items=(nested,))])
    assert found.in_value(b"seen by HAWKWIND")


@pytest.mark.parametrize("at", [0, 7, WINDOW - 9, WINDOW - MOST - 4, WINDOW - 1, WINDOW, 2 * WINDOW - MOST - 5])
def test_a_long_header_is_searched_in_pieces_that_cut_no_identifier(at: int) -> None:
    """Between two of them, too, and behind a new UID."""
    header = bytearray(b"-" * (2 * WINDOW + 100))
    assert not known().in_header(bytes(header))
    header[at : at + 9] = b"KILMISTER"
    assert known().in_header(bytes(header))
    assert known().in_header(b"2.25.123\0" + bytes(header))


def test_more_than_names_a_patient_is_not_searched_for() -> None:
    """A pattern of anything that a sender calls a name would take all memory."""
    with pytest.raises(TooMuch):
        known(name=b"a" * (MOST + 1))
    names = [Element(0x00081050, "PN", b"Name%05d" % number) for number in range(MOST)]
    with pytest.raises(TooMuch):
        Identifiers(standard_rules()).note_all(names)


def study(*elements: Element) -> Identifiers:
    """The identifiers of a data set whose texts are UTF-8."""
    found = Identifiers(standard_rules())
    found.note_all([Element(0x00080005, "CS", b"ISO_IR 192"), *elements])
    return found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Müller^Jürgen", "mueller"),
        ("Müller^Jürgen", "MULLER, J."),
        ("Mueller^Juergen", "Müller"),
        ("Mueller^Juergen", "Mu\u0308ller"),
        ("Łukasiewicz^Jan", "lukasiewicz"),
        ("Sørensen^Åse", "Soerensen"),
        ("O'Brien^Mary-Ann", "OBRIEN"),
        ("O'Brien^Mary-Ann", "o brien"),
        ("O'Brien^Mary-Ann", "mary ann"),
        ("Smith^John", "smithjohn"),
        ("Smith^John", "JohnSmith"),
        ("Smith^John", "J.Smith"),
        ("Smith^John", "smith_john"),
        ("Kim^Li", "Kim, Li"),
        ("Kim^Li", "LiKim"),
        ("Kim^Li", "L. Kim"),
        ("Head^Kilian", "Kilian Head"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "x山田x"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "やまだ たろう"),
        ("Дмитриев^Иван", "ДМИТРИЕВ"),
    ],
)
def test_a_name_is_found_in_every_spelling(name: str, text: str) -> None:
    """Accents, transliterations, apostrophes, order, initials, and the other groups of components."""
    assert study(Element(0x00100010, "PN", name.encode())).in_text(f"chest {text} 2")


@pytest.mark.parametrize(
    ("name", "text"),
    [("Kim^Li", "kim knee"), ("Head^Kilian", "CT HEAD"), ("Lang^Bo", "slang"), ("Adams^Lou", "louder")],
)
def test_short_parts_and_common_words_prove_nothing_alone(name: str, text: str) -> None:
    """They count beside another part of the name."""
    assert not study(Element(0x00100010, "PN", name.encode())).in_text(text)


@pytest.mark.parametrize(
    ("tag", "vr", "value", "text"),
    [
        (0x00100020, "LO", "0012345", "id 12345."),
        (0x00100020, "LO", "12345", "0000012345"),
        (0x00100020, "LO", "12-345/67", "12 345 67"),
        (0x00100020, "LO", "ZJ77418176", "77418176"),
        (0x00102154, "SH", "+49 6221 123456", "06221-123456"),
        (0x00102154, "SH", "(430) 887-6171", "8876171"),
        (0x00101040, "LO", "12 Main Street^Springfield", "12 main street, springfield"),
        (0x00080080, "LO", "St. Mary's Infirmary", "st marys infirmary"),
        (0x00080050, "SH", "A-4711-22", "A471122"),
        (0x00401001, "SH", "RP88213", "rp 88213"),
    ],
)
def test_a_number_or_place_is_found_in_every_spelling(tag: int, vr: str, value: str, text: str) -> None:
    """With and without separators, leading zeros, letters before it and the code of the country."""
    assert study(Element(tag, vr, value.encode())).in_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "19860103", "1986-01-03", "3.1.1986", "03.01.86", "1/3/86", "01031986", "860103", "3 January 1986", "Jan 3, 86",
        "3. Januar 1986", "3 janvier 1986", "3 de enero de 1986",
    ],
)  # fmt: skip
def test_a_date_of_birth_is_found_in_every_form(text: str) -> None:
    birth = study(Element(0x00100030, "DA", b"19860103"))
    assert birth.in_text(f"born {text}, chest")
    assert not birth.in_text("8613")


def test_items_have_character_sets_of_their_own() -> None:
    """What is KOI to one is a name to the other (PS3.3 section C.12.1.1.2)."""
    nested = (Element(0x00080005, "CS", b"ISO_IR 144"), Element(0x00100010, "PN", "Дмитриев".encode("iso8859_5")))
    found = Identifiers(standard_rules())
    found.note_all([Element(0x00080005, "CS", b"ISO_IR 100"), Element(0x00081115, "SQ", items=(nested,))])
    assert found.in_text("дмитриев")
    assert found.in_value("ДМИТРИЕВ".encode(), ("ISO_IR 192",))


def test_a_name_in_capitals_is_found_in_encoded_headers() -> None:
    """Bytes have no case beyond ASCII, so that the cases are written out."""
    found = study(Element(0x00100010, "PN", "Łukasiewicz^Jan".encode()))
    assert found.in_header("UT ŁUKASIEWICZ".encode())


def test_texts_of_any_length_are_searched() -> None:
    """A long one that may hold something is taken to hold it."""
    assert known().in_text("-" * LONGEST + "kilmister")
    assert not known().in_text("-" * LONGEST + "chest")


@given(st.integers(1, 400))
def test_work_grows_with_the_text_and_no_faster(length: int) -> None:
    """Hits that overlap and nearly hits are met once each: never a pattern that goes back."""
    found = known(name=b"abababab^xyzxyz", patient_id=b"1010101")
    for text in ("ab" * length, "a b" * length, "10" * length, "1-0-" * length, "xyz " * length):
        spans = list(found.spans(text))
        assert len(spans) <= len(text)
        assert all(0 <= start < end <= len(text) for start, end in spans)


def test_more_names_than_a_patient_has_are_refused() -> None:
    """Pairs of their parts would be too many."""
    name = b" ".join(b"%c%c" % (65 + at // 26, 97 + at % 26) for at in range(6))
    names = [Element(0x00081050, "PN", name.replace(b"A", b"%c" % (65 + at % 26)) + b"%d" % at) for at in range(300)]
    found = Identifiers(standard_rules())
    with pytest.raises(TooMuch):
        found.note_all(names)
        found.known()


def test_what_a_pseudonym_spells_by_chance_is_no_identifier() -> None:
    """Sixteen random digits and letters hold a number of four digits now and then."""
    names = known()
    names.leave_out("PA4711BCDEF01234")
    assert not names.in_header(b"LO\x10\x00PA4711BCDEF01234")
    assert names.in_header(b"LO\x10\x00PA4711BCDEF01235")
    assert names.in_header(b"LO\x10\x00PA4711BCDEF01234 4711")
