"""What was done in objects that share a counter counts once for each of them."""

from collections import Counter

from cli.deidentify.results import Tally
from services.deid.domain.record import Step

ONE, OTHER = Step((0x00100010,), "replaced", "basic"), Step((0x00100030,), "emptied", "basic")


def test_steps_count_for_each_object() -> None:
    """Of two that share a counter, one that has an equal counter of its own, and another."""
    tally, shared = Tally(), Counter({ONE: 2})
    for steps in (shared, shared, Counter({ONE: 2}), Counter({ONE: 1, OTHER: 3})):
        tally.note(steps)
    assert tally.total() == {ONE: 7, OTHER: 3}
    assert shared == {ONE: 2}


def test_counters_that_are_gone_are_not_taken_for_others() -> None:
    """Each of these might be made where the one before it was."""
    tally = Tally()
    for number in range(1, 101):
        tally.note(Counter({ONE: number}))
    assert tally.total() == {ONE: 5050}
