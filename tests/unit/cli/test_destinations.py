"""How a destination is shown."""

from typing import Any

import pytest

from cli.destinations import row_of


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({}, "open"),
        ({"held": True}, "held"),
        ({"away": "not-reachable", "away_for": 16.2}, "away: not-reachable for 16 s"),
        ({"held": True, "away": "not-reachable", "away_for": 16.2}, "held, away: not-reachable for 16 s"),
    ],
)
def test_a_destination_says_that_it_is_held_and_that_it_is_away(more: dict[str, Any], state: str) -> None:
    """Whoever holds one that is away must see that it will stand after its return."""
    one = {"name": "vna", "backlog": 1, "age": 2.0, "delivered": 3, "failed": 4, "held": False, "away": None, **more}
    assert row_of(one) == ("vna", 1, "2 s", 3, 4, state)
