"""A data set that says it is longer than what came is told from one that is whole, in pieces of any size."""

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom_ingest.domain.elements import Encoding, is_deflated
from services.dicom_ingest.domain.top_level import TopLevel
from tests.fuzz import data_sets
from tests.support.instances import make_instances
from tests.unit.dicom_ingest.data_sets import Sample, element, encode, shipped_samples

EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
WANTED = 0x0020000D
ITEM, ITEM_END, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
OPEN = b"\xff\xff\xff\xff"
STUDY = element(WANTED, b"UI", b"1.2.3.4\0")


def fed(data: bytes, syntax: str = EXPLICIT, size: int = 1 << 20) -> TopLevel:
    level = TopLevel(Encoding.of(syntax), WANTED)
    for at in range(0, len(data), size):
        level.feed(memoryview(data)[at : at + size])
    return level


@lru_cache
def slices(syntax: str) -> bytes:
    (image,) = make_instances(1, study_uid="1.2.3.4")
    return encode(image, syntax)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
@pytest.mark.parametrize("size", [1, 7, 8, 12, 500, 100_000])
def test_a_whole_data_set_is_whole_in_pieces_of_any_size(syntax: str, size: int) -> None:
    level = fed(slices(syntax), syntax, size)
    assert (level.is_whole, level.is_cut, level.is_past) == (True, False, True)
    assert level.value is not None and level.value.rstrip(b"\0") == b"1.2.3.4"


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
@given(data=st.data())
def test_wherever_a_value_is_cut_it_shows(syntax: str, data: st.DataObject) -> None:
    whole = slices(syntax)
    end = data.draw(st.integers(1, len(whole) - 1))
    level = fed(whole[:end], syntax, data.draw(st.integers(1, 4096)))
    # Between two elements, or within the head of one, nothing has said yet that more is to come.
    assert level.is_cut or len(whole[:end]) - _boundary_before(whole, syntax, end) < 12
    assert not fed(whole, syntax, data.draw(st.integers(1, 4096))).is_cut


def _boundary_before(whole: bytes, syntax: str, end: int) -> int:
    """Where the element begins that byte ``end`` is in, found by cutting one byte less each time."""
    return next(at for at in range(end, -1, -1) if fed(whole[:at], syntax).is_whole)


PLAIN = [sample for sample in shipped_samples() if not is_deflated(sample.transfer_syntax)]


@pytest.mark.parametrize("sample", PLAIN, ids=lambda sample: sample.path.name)
def test_real_data_sets_are_followed_to_their_end(sample: Sample) -> None:
    level = fed(sample.data, sample.transfer_syntax, 1000)
    flags = sample.reading().flags
    if "irregular-header" not in flags and "opaque-header" not in flags:
        assert level.is_cut == ("cut-short" in flags and not level._open)
        assert level.is_whole != ("cut-short" in flags)
    found = sample.dataset.get("StudyInstanceUID")
    if found and not level.is_lost:
        assert level.value is not None and level.value.rstrip(b"\0 ").decode() == found


def nested(item_length: bytes, inner: bytes, end: bytes) -> bytes:
    return element(0x00081140, b"SQ", b"", 0xFFFFFFFF) + ITEM + item_length + inner + end + SEQUENCE_END


def test_what_has_no_length_is_walked_to_its_end() -> None:
    inner = element(WANTED, b"UI", b"9.9\0")
    assert fed(nested(OPEN, inner, ITEM_END) + STUDY).value == b"1.2.3.4\0"
    assert fed(nested(len(inner).to_bytes(4, "little"), inner, b"") + STUDY).value == b"1.2.3.4\0"
    deep = nested(OPEN, nested(OPEN, inner, ITEM_END), ITEM_END)
    assert fed(deep + STUDY, size=3).value == b"1.2.3.4\0"


def test_a_sequence_of_unknown_representation_has_implicit_items() -> None:
    inner = b"\x20\x00\x0d\x00" + (4).to_bytes(4, "little") + b"9.9\0"
    unknown = element(0x00091001, b"UN", b"", 0xFFFFFFFF) + ITEM + OPEN + inner + ITEM_END + SEQUENCE_END
    assert fed(unknown + STUDY).value == b"1.2.3.4\0"


def test_encapsulated_pixels_that_stop_are_not_a_length_past_the_end() -> None:
    pixels = element(0x7FE00010, b"OB", b"", 0xFFFFFFFF) + ITEM + (100).to_bytes(4, "little") + bytes(50)
    level = fed(STUDY + pixels)
    assert (level.is_cut, level.is_whole) == (False, False)


def test_what_is_no_data_set_is_not_called_cut() -> None:
    for garbage in (b"\xff" * 50, STUDY + b"no data set at all", STUDY + SEQUENCE_END, ITEM + OPEN + STUDY):
        level = fed(garbage)
        assert level.is_lost and not level.is_cut
    assert not fed(STUDY + element(0x00200010, b"SH", b"1 ") + b"\x08\0\x08").is_cut


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_a_study_behind_deep_sequences_is_found(syntax: str) -> None:
    """Whoever sends many of them is not to have a batch of its own for each."""
    level = fed(data_sets.nested(300, syntax), syntax)
    assert level.value is not None and level.value.rstrip(b"\0") == b"1.2.3.4"
    assert level.is_whole


def test_what_is_too_deep_or_too_long_is_not_followed() -> None:
    deep = element(0x00081140, b"SQ", b"", 0xFFFFFFFF) + ITEM + OPEN
    assert fed(deep * 600).is_lost
    many = element(0x00081140, b"SQ", b"", 0xFFFFFFFF) + (ITEM + bytes(4)) * 2_600_000
    assert fed(many).is_lost


@given(st.binary(max_size=400), st.sampled_from([EXPLICIT, IMPLICIT, BIG]), st.integers(1, 50))
def test_pieces_make_no_difference_and_nothing_raises(data: bytes, syntax: str, size: int) -> None:
    whole, pieces = fed(data, syntax), fed(data, syntax, size)
    for name in ("value", "is_past", "is_lost", "is_cut", "is_whole"):
        assert getattr(whole, name) == getattr(pieces, name)
