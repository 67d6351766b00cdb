"""The study of an instance, found while it arrives."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom_ingest.domain.study_scan import SCAN_LIMIT, UNKNOWN_STUDY, StudyKey, StudyScan
from tests.support.instances import make_instances
from tests.unit.dicom_ingest.data_sets import element, encode

EXPLICIT, IMPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
STUDY = "1.2.3.4"


def slice_in(syntax: str) -> bytes:
    (image,) = make_instances(1, study_uid=STUDY)
    plain = encode(image, EXPLICIT if syntax == DEFLATED else syntax)
    return zlib.compress(plain, wbits=-15) if syntax == DEFLATED else plain


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("size", [1, 7, 500, 100_000])
def test_the_study_is_found_in_pieces_of_any_size(syntax: str, size: int) -> None:
    data, scan = slice_in(syntax), StudyScan(syntax)
    for at in range(0, len(data), size):
        found = scan.feed(data[at : at + size], last=at + size >= len(data))
        if found is not None:
            break
    assert found == StudyKey(STUDY)


def test_the_study_is_known_before_the_pixels_are_here() -> None:
    head = element(0x0020000D, b"UI", b"1.2.3.4\0") + element(0x00280010, b"US", b"\1\0") * 600
    assert StudyScan(EXPLICIT).feed(head + element(0x7FE00010, b"OW", b"", 1 << 30)) == StudyKey(STUDY)


def test_a_study_in_a_sequence_is_not_the_instances_own() -> None:
    item = element(0x0020000D, b"UI", b"9.9.9.9\0")
    nested = element(0x00081250, b"SQ", b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item)
    assert StudyScan(EXPLICIT).feed(nested + element(0x0020000D, b"UI", b"1.2.3.4\0"), last=True) == StudyKey(STUDY)


def test_an_object_without_a_study_is_known_to_have_none() -> None:
    assert StudyScan(EXPLICIT).feed(element(0x00080060, b"CS", b"CT"), last=True) == StudyKey(None)


def test_a_study_uid_that_could_be_a_name_is_none() -> None:
    assert StudyScan(EXPLICIT).feed(element(0x0020000D, b"UI", b"DOE^JANE"), last=True) == StudyKey(None)


def test_what_cannot_be_read_has_an_unknown_study() -> None:
    assert StudyScan(EXPLICIT).feed(bytes(100), last=True) == UNKNOWN_STUDY
    assert StudyScan(DEFLATED).feed(b"no deflate", last=True) == UNKNOWN_STUDY
    assert StudyScan(EXPLICIT).feed(element(0x0020000D, b"UI", b"1.2", 60), last=True) == UNKNOWN_STUDY


def test_a_scan_gives_up_in_bounded_memory() -> None:
    scan, fed = StudyScan(EXPLICIT), 0
    scan.feed(element(0x00080001, b"UN", b"", 1 << 30))
    while (found := scan.feed(bytes(64 * 1024))) is None:
        fed += 64 * 1024
        assert fed <= 5 * SCAN_LIMIT
    assert found == UNKNOWN_STUDY


@given(st.binary(max_size=300), st.sampled_from([EXPLICIT, IMPLICIT, BIG, DEFLATED]))
def test_garbage_always_gets_an_answer(garbage: bytes, syntax: str) -> None:
    assert StudyScan(syntax).feed(garbage, last=True) is not None
