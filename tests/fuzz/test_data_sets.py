"""Whatever a data set is, following it and reading its header raise nothing, and tell one whose end is missing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.formats.headers import header_line
from services.dicom_ingest.domain import commitment
from services.dicom_ingest.domain.commitment import RequestRefused
from services.dicom_ingest.domain.study_scan import StudyScan
from tests.fuzz import wire
from tests.fuzz.budget import examples
from tests.fuzz.data_sets import SYNTAXES, encoded, ends_early
from tests.fuzz.peers import mutated
from tests.unit.dicom_ingest.data_sets import read, shipped_samples

pytestmark = pytest.mark.timeout(3600)
SAMPLES = [sample for sample in shipped_samples() if len(sample.data) < 20_000]
#: A data set with the syntax it is in, or is said to be in.
DATA_SETS = st.sampled_from(SYNTAXES).flatmap(lambda syntax: st.tuples(st.just(syntax), encoded(syntax)))
MISLABELLED = st.tuples(st.sampled_from(SYNTAXES), st.sampled_from(SYNTAXES).flatmap(encoded))
CHANGED = st.sampled_from(SAMPLES).flatmap(
    lambda sample: st.tuples(st.just(sample.transfer_syntax), mutated([sample.data]))
)


@examples(200)
@given(DATA_SETS | MISLABELLED | CHANGED, st.integers(1, 3000))
def test_what_ends_early_is_told_from_what_does_not_in_pieces_of_any_size(told: tuple[str, bytes], size: int) -> None:
    syntax, data = told
    scan = StudyScan(syntax)
    for at in range(0, len(data), size):
        scan.feed(memoryview(data)[at : at + size])
    assert scan.feed(b"", last=True) is not None
    assert scan.is_cut == ends_early(data, syntax) or scan._level.is_lost


@examples(200)
@given(DATA_SETS | MISLABELLED | CHANGED)
def test_a_header_is_read_or_there_is_a_reason(told: tuple[str, bytes]) -> None:
    syntax, data = told
    reading = read(data, syntax)
    assert (reading.header is None) == (reading.reason is not None)
    assert 0 <= reading.header_length <= len(data)
    if reading.header is not None:
        json.loads(header_line("000001.dcm", reading.header))
    if reading.pixel_offset is not None:
        assert reading.header_length <= reading.pixel_offset <= reading.pixel_offset + (reading.pixel_length or 0)
        assert reading.pixel_offset + (reading.pixel_length or 0) <= len(data)


@examples(100)
@given(DATA_SETS | MISLABELLED)
def test_a_request_for_commitment_is_read_or_refused(told: tuple[str, bytes]) -> None:
    syntax, data = told
    try:
        commitment.read(data, syntax)
    except RequestRefused:
        return


@pytest.mark.parametrize("syntax", [wire.DEFLATED])
@pytest.mark.parametrize("tail", [b"\x00\x00\x00\xff\xff", b"\x03\x00" + b"x" * 100], ids=["empty blocks", "behind it"])
def test_a_deflate_stream_that_gives_nothing_is_not_held(syntax: str, tail: bytes) -> None:
    """Its study is called unknown after as many bytes as those of any other."""
    scan, fed = StudyScan(syntax), 0
    while scan.feed(tail * 1000) is None:
        fed += 1000 * len(tail)
        assert fed < 4 << 20
    for _ in range(100):
        scan.feed(tail * 1000)
    assert scan._inflate is None or len(scan._inflate.unused_data) < 1 << 20
