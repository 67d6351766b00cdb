"""The second look for the source's own identifiers."""

import pytest

from services.deid.domain.dataset import Element, TooMuch
from services.deid.domain.identifiers import MOST, WINDOW, Identifiers
from services.deid.domain.rules import standard_rules


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
