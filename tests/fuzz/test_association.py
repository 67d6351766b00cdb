"""Whatever a peer sends, the fast receiver answers or aborts, raises nothing, and acknowledges only what it holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.budget import examples
from tests.fuzz.hall import check, converse
from tests.fuzz.peers import conversations, mutated
from tests.fuzz.seeds import broke_something, shipped, well_made

pytestmark = pytest.mark.timeout(3600)
WELL_MADE, SHIPPED = well_made(), shipped()


@pytest.mark.parametrize("seed", [*WELL_MADE, *SHIPPED])
def test_a_conversation_as_it_should_be_is_acknowledged_and_held(seed: bytes) -> None:
    outcome = converse(seed)
    check(seed, outcome)


@examples(150)
@given(conversations(), st.sampled_from([True] * 9 + [False]))
def test_a_conversation_that_is_broken_in_its_structure(sent: bytes, closes: bool) -> None:
    check(sent, converse(sent, closes=closes))


@examples(150)
@given(mutated(WELL_MADE))
def test_a_conversation_whose_bytes_were_changed(sent: bytes) -> None:
    check(sent, converse(sent))


@examples(100)
@given(mutated(SHIPPED))
def test_a_conversation_about_a_real_file_whose_bytes_were_changed(sent: bytes) -> None:
    check(sent, converse(sent))


@pytest.mark.parametrize("name", broke_something())
def test_what_broke_something_once_does_so_no_more(name: str) -> None:
    sent = broke_something()[name]
    check(sent, converse(sent))
