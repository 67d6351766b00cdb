"""The spool's own format: what was committed is read again, what was cut is not."""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom_ingest.domain.records import (
    Arrival,
    NoRecord,
    Opening,
    Record,
    decode_opening,
    decode_record,
    encode_arrival,
    encode_closing,
    encode_head,
    encode_opening,
    encode_trailer,
    is_closing,
)

ARRIVAL = Arrival("1.2", "1.2.3", "1.2.840.10008.1.2", 4, datetime(2026, 1, 2, tzinfo=UTC), "CT1", "CW", "10.0.0.1")
OPENING = Opening("ab" * 16, datetime(2026, 1, 2, tzinfo=UTC), "1.2.9", True, None)


def record(file: bytes) -> bytes:
    """A committed record of this Part 10 file."""
    arrival = encode_arrival(ARRIVAL)
    return encode_head(arrival, len(file)) + arrival + file + encode_trailer(len(file), sha256(file[4:]).digest())


def reader(content: bytes):  # type: ignore[no-untyped-def]
    """Reads like a file."""
    return lambda offset, count: content[offset : offset + count]


def test_an_opening_is_read_again() -> None:
    content = encode_opening(OPENING)
    assert decode_opening(reader(content + b"more")) == (OPENING, len(content))
    alone = replace(OPENING, study_uid=None, shared=False, traceparent="00-ab-cd-01")
    assert decode_opening(reader(encode_opening(alone)))[0] == alone


def test_a_record_tells_where_its_bytes_lie() -> None:
    content = b"xx" + record(b"headdata set") + record(b"headother")
    first = decode_record(reader(content), 2)
    second = decode_record(reader(content), first.end)
    assert content[first.offset : first.offset + first.length] == b"headdata set"
    assert content[second.dataset_at : second.dataset_at + second.dataset_length] == b"other"
    assert first == Record(ARRIVAL, first.offset, 12, sha256(b"data set").digest())
    assert second.end == len(content)


@given(st.integers(min_value=0), st.binary(max_size=64))
def test_a_record_cut_anywhere_is_no_record(cut: int, garbage: bytes) -> None:
    whole = record(b"headdata set")
    with pytest.raises(NoRecord):
        decode_record(reader(whole[: cut % len(whole)]), 0)


def test_a_record_without_its_head_or_trailer_is_no_record() -> None:
    whole = record(b"headdata set")
    for damaged in (bytes(20) + whole[20:], whole[:-4] + bytes(4), whole[:-40] + bytes(40)):
        with pytest.raises(NoRecord):
            decode_record(reader(damaged), 0)


def test_a_closing_counts_what_it_closes() -> None:
    content = b"abc" + encode_closing(2)
    assert is_closing(reader(content), 3, 2)
    assert not is_closing(reader(content), 3, 1)
    assert not is_closing(reader(content[:-1]), 3, 2)
