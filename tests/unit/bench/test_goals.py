"""A benchmark that misses a goal says which, and fails."""

import pytest

from bench import attacks, ingest
from bench.support import verdict

REACHED = {**ingest.AT_LEAST, "cpu_vs_pynetdicom": ingest.CPU_AT_MOST}
ROW: attacks.Row = ("fast", "slow_senders", 100.0, 90.0, 0.9, 200.0, 1200, 1200, "30 A-ABORT")


def test_a_missed_goal_is_told_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict("ingest", {"one": True}) == 0
    assert verdict("ingest", {"one": True, "two": False}) == 1
    assert capsys.readouterr().err == "ingest: missed: two\n"


@pytest.mark.parametrize("name", REACHED)
def test_each_ratio_of_ingest_has_its_goal(name: str) -> None:
    assert all(ingest.goals(REACHED).values())
    worse = REACHED[name] + (0.01 if name == "cpu_vs_pynetdicom" else -0.01)
    (missed,) = [goal for goal, is_reached in ingest.goals({**REACHED, name: worse}).items() if not is_reached]
    assert missed.startswith(name)


@pytest.mark.parametrize(
    ("at", "value", "missed"),
    [(4, 0.79, "at least 0.8 of the rate"), (5, 251.0, "at most 250 MB"), (7, 1199, "everything acknowledged")],
)
def test_an_attack_may_cost_a_fifth_of_the_rate_and_nothing_else(at: int, value: float, missed: str) -> None:
    assert all(attacks.goals([ROW]).values())
    goals = attacks.goals([(*ROW[:at], value, *ROW[at + 1 :])])  # type: ignore[list-item]  # one figure of a row is replaced
    (told,) = [goal for goal, is_reached in goals.items() if not is_reached]
    assert missed in told
