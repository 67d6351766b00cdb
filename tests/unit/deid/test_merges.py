"""Merges of patients, in whatever order they are heard."""

from hypothesis import given
from hypothesis import strategies as st

from services.deid.domain.merges import Link, chain


def test_nobody_goes_on_in_anybody_without_a_merge() -> None:
    assert chain("a", {}) == ("a",)


def test_a_chain_leads_to_its_end() -> None:
    assert chain("a", {"a": Link("b", 1), "b": Link("c", 2)}) == ("a", "b", "c")


def test_of_two_that_go_on_in_each_other_the_last_word_counts() -> None:
    links = {"a": Link("b", 1), "b": Link("a", 2)}
    assert (chain("a", links)[-1], chain("b", links)[-1]) == ("a", "a")


def test_a_circle_is_cut_at_its_oldest_merge_wherever_one_comes_from() -> None:
    links = {"x": Link("b", 9), "a": Link("b", 2), "b": Link("c", 1), "c": Link("a", 3)}
    assert {chain(each, links)[-1] for each in "xabc"} == {"b"}


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.sampled_from("abcdef"), st.integers(1, 3))))
def test_whoever_is_of_one_person_ends_with_the_same_patient(told: dict[str, tuple[str, int]]) -> None:
    """Any merges at all: an end is reached, and whoever goes on in another ends where that one does."""
    links = {one: Link(survivor, float(when)) for one, (survivor, when) in told.items() if one != survivor}
    for one in "abcdef":
        path = chain(one, links)
        assert len(set(path)) == len(path)
        assert {chain(each, links)[-1] for each in path} == {path[-1]}
