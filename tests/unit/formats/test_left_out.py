"""What a pack leaves out of a batch, as text and as entries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.events import PackPlanned
from contracts.formats.errors import ManifestBroken
from contracts.formats.headers import header_line, kept_lines
from contracts.formats.left_out import read_numbers, without, write_numbers
from contracts.formats.manifest import merge
from tests.support.packs import copies, planned
from tests.unit.tier_routing.makers import batch, instance, manifest


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([7], "7"), ([3, 1, 2], "1-3"), ([1, 2, 4, 9, 10, 11, 999_999], "1-2,4,9-11,999999")],
)
def test_numbers_are_told_in_ranges(numbers: list[int], text: str) -> None:
    assert write_numbers(numbers) == text
    assert read_numbers(text) == frozenset(numbers)


@given(st.frozensets(st.integers(1, 999_999), max_size=200))
def test_what_was_written_is_read_again_and_is_allowed_in_an_event(numbers: frozenset[int]) -> None:
    text = write_numbers(numbers)
    assert read_numbers(text) == numbers
    assert planned([batch()], copies("onsite"), left_out=(text,)).left_out == (text,)


@pytest.mark.parametrize(
    "text", ["0", "01", "1,1", "2,1", "3-1", "1-1000000", "1,", ",1", "1--2", "a", "1 ", "-1", "1-"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ManifestBroken, match="left-out"):
        read_numbers(text)


@pytest.mark.parametrize("text", ["0", "1,", ",1", "1--2", "a", "1 ", "1234567"])
def test_an_event_with_text_of_another_form_is_none(text: str) -> None:
    with pytest.raises(ValidationError):
        planned([batch()], copies("onsite"), left_out=(text,))


def test_an_event_tells_what_is_left_out_of_every_batch_or_of_none() -> None:
    with pytest.raises(ValidationError, match="every batch"):
        planned([batch("a"), batch("b")], copies("onsite"), left_out=("1",))
    both = planned([batch("a"), batch("b")], copies("onsite"), left_out=("", "1-3"))
    assert [(each.batch_id, left_out) for each, left_out in both.contents] == [("a", ""), ("b", "1-3")]
    whole = PackPlanned.model_validate_json(planned([batch("a")], copies("onsite")).model_dump_json())
    assert [(each.batch_id, left_out) for each, left_out in whole.contents] == [("a", "")]


def test_a_batch_without_some_entries_is_merged_as_if_it_never_had_them() -> None:
    whole = manifest(*(instance(number) for number in (1, 2, 3, 4)))
    kept = without(whole, frozenset({1, 3}))
    assert kept.instances == (whole.instances[1], whole.instances[3])
    alone = merge([manifest(instance(2), instance(4))], id="p")
    assert merge([kept], id="p") == alone
    assert without(whole, frozenset()) is whole


def test_a_number_that_no_entry_has_is_refused() -> None:
    with pytest.raises(ManifestBroken, match="left-out"):
        without(manifest(instance(1)), frozenset({2}))


def test_headers_of_what_is_left_out_are_passed_over_wherever_chunks_end() -> None:
    lines = [
        header_line(f"00000{number}.dcm", {"00080060": {"vr": "CS", "Value": [str(number)]}}) for number in (1, 2, 3)
    ]
    data = b"".join(lines)
    for size in (1, 7, len(data)):
        chunks = [data[at : at + size] for at in range(0, len(data), size)]
        assert b"".join(kept_lines(chunks, frozenset({2}))) == lines[0] + lines[2]
        assert b"".join(kept_lines(chunks, frozenset())) == data
