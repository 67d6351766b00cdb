"""Who fills most gives up first, and nobody pushes out those who send little."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hl7_fhir.domain.intake.sharing import shares


@pytest.mark.parametrize(
    ("held", "each", "together", "kept"),
    [
        ({}, 10, 100, {}),
        ({"a": 10, "b": 3}, 10, 100, {}),
        ({"a": 11, "b": 3}, 10, 100, {"a": 10}),
        ({"a": 90, "b": 3}, 100, 50, {"a": 47}),
        ({"a": 90, "b": 80, "c": 3}, 100, 43, {"a": 20, "b": 20}),
        ({"a": 90, "b": 80, "c": 30}, 60, 120, {"a": 45, "b": 45}),
        ({"a": 5, "b": 5}, 100, 0, {"a": 0, "b": 0}),
    ],
)
def test_those_who_hold_most_give_up_first(
    held: dict[str, int], each: int, together: int, kept: dict[str, int]
) -> None:
    assert shares(held, each=each, together=together) == kept


@given(st.dictionaries(st.integers(), st.integers(0, 1000)), st.integers(0, 1000), st.integers(0, 3000))
def test_no_bound_is_ever_passed_and_nobody_gives_up_more_than_is_needed(
    held: dict[int, int], each: int, together: int
) -> None:
    kept = {**held, **shares(held, each=each, together=together)}
    assert max(kept.values(), default=0) <= each
    assert sum(kept.values()) <= together
    lost = {name for name in held if kept[name] < min(held[name], each)}
    level = max((kept[name] for name in lost), default=0)
    assert all(kept[name] <= level + 1 for name in held) or not lost
    if lost:  # rounding aside all of it is used
        assert sum(kept.values()) > together - len(held)
