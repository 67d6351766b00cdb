"""The spool's own format: what was committed is read again, what was cut is not."""

import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom_ingest.domain.records import (
    ENTRY_HEADER,
    ENTRY_LIMIT,
    Arrival,
    Journal,
    NoRecord,
    Opening,
    Record,
    archive_tail,
    decode_journal,
    encode_closing,
    encode_commit,
    encode_opening,
    entry_header,
    is_archive,
)

ARRIVAL = Arrival("1.2", "1.2.3", "1.2.840.10008.1.2", 4, datetime(2026, 1, 2, tzinfo=UTC), "CT1", "CW", "10.0.0.1")
OPENING = Opening("ab" * 16, datetime(2026, 1, 2, tzinfo=UTC), "1.2.9", True, None)


def records(*files: bytes) -> list[Record]:
    """Records of these Part 10 files, one behind the other."""
    made, end = [], 0
    for file in files:
        made.append(Record(ARRIVAL, end + ENTRY_HEADER, len(file), crc32(file)))
        end = made[-1].offset + len(file)
    return made


def read(content: bytes, at: int = 0) -> Journal:
    """The journal in ``content``."""
    return decode_journal(lambda offset, count: content[offset : offset + count], at)


def test_an_opening_is_read_again() -> None:
    for opening in (OPENING, replace(OPENING, study_uid=None, shared=False, traceparent="00-ab-cd-01")):
        content = encode_opening(opening)
        assert read(b"xx" + content, 2) == Journal(opening, (), len(content), is_closed=False)


def test_commits_are_read_up_to_where_the_journal_ends() -> None:
    first, second = records(b"headdata set", b"headother")
    content = encode_opening(OPENING) + encode_commit(first) + encode_commit(second)
    assert read(content + bytes(100)) == Journal(OPENING, (first, second), len(content), is_closed=False)
    assert (first.dataset_at, first.dataset_length) == (ENTRY_HEADER + 4, 8)


def test_a_closing_counts_what_it_closes() -> None:
    content = encode_opening(OPENING) + encode_commit(records(b"headdata set")[0])
    assert read(content + encode_closing(1)).is_closed
    assert not read(content + encode_closing(2)).is_closed
    assert not read(content + encode_closing(1)[:-1]).is_closed


@given(st.integers(min_value=0))
def test_a_commit_cut_anywhere_is_no_commit(cut: int) -> None:
    start, commit = encode_opening(OPENING), encode_commit(records(b"headdata set")[0])
    assert read(start + commit[: cut % len(commit)]).records == ()


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_commit_with_any_byte_changed_is_no_commit(position: int, change: int) -> None:
    start, commit = encode_opening(OPENING), bytearray(encode_commit(records(b"headdata set")[0]))
    commit[position % len(commit)] ^= change
    assert read(start + bytes(commit)).records == ()


@given(st.binary(max_size=100))
def test_garbage_is_no_journal(garbage: bytes) -> None:
    with pytest.raises(NoRecord):
        read(garbage)


def test_entries_and_their_tail_are_a_zip_archive() -> None:
    files = [b"headdata set", b"headother", b"head"]
    made = records(*files)
    content = b"".join(
        entry_header(number, record.length, record.crc32) + file
        for number, (record, file) in enumerate(zip(made, files, strict=True), start=1)
    )
    with zipfile.ZipFile(io.BytesIO(content + archive_tail(made))) as archive:
        assert archive.testzip() is None
        assert [archive.read(name) for name in archive.namelist()] == files


def test_a_gap_or_a_file_beyond_the_limit_is_no_archive_as_it_lies() -> None:
    first, second, third = records(b"headone", b"headtwo", b"headsix")
    assert is_archive([first, second, third])
    assert not is_archive([first, third])
    assert not is_archive([replace(first, length=ENTRY_LIMIT)])
    assert entry_header(1, ENTRY_LIMIT, 0) == b""
