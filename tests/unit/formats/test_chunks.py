"""Runs of exact length out of a stream whose chunks have any size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.formats.chunks import Chunks
from contracts.formats.errors import ArchiveMismatch


@given(st.lists(st.binary(max_size=20)), st.data())
def test_runs_are_slices_of_the_stream(chunks: list[bytes], data: st.DataObject) -> None:
    """Whether a run ends within a chunk or spans many, empty ones as well."""
    whole, reader, position = b"".join(chunks), Chunks(chunks), 0
    while position < len(whole):
        skipped = data.draw(st.integers(0, len(whole) - position))
        reader.skip(skipped)
        position += skipped
        taken = data.draw(st.integers(0, len(whole) - position))
        assert b"".join(reader.take(taken)) == whole[position : position + taken]
        position += taken


def test_a_stream_that_ends_too_early_is_an_error() -> None:
    """Never a shorter run."""
    with pytest.raises(ArchiveMismatch, match="stream-too-short"):
        list(Chunks([b"abc"]).take(4))


def test_a_run_of_less_than_nothing_is_refused() -> None:
    """An entry that lies before the present position was passed already."""
    with pytest.raises(ArchiveMismatch, match="stream-backwards"):
        Chunks([b"abc"]).skip(-1)
