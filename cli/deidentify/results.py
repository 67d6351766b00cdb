"""What became of one input."""

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from services.deid.domain.record import Step


class Outcome(StrEnum):
    """What became of an input."""

    RELEASED = "out"
    WITHHELD = "withheld"  # held back by the engine, with one of its reasons
    SKIPPED = "skipped"  # no DICOM, and never meant to be
    FAILED = "failed"  # neither out nor withheld


class Result(NamedTuple):
    """One input: ``reason`` unless it is out; ``output`` is a path below the output folder.

    ``original`` and ``new`` are SOP Instance UIDs; the original's goes nowhere but into the map and the list.
    """

    path: Path
    outcome: Outcome
    reason: str = ""
    output: str = ""
    original: str = ""
    new: str = ""


class Tally:
    """What was done in objects, of which many share one counter: that is added up once."""

    def __init__(self) -> None:
        #: By identity, which is one as long as the counter is kept here.
        self._shared: dict[int, tuple[Counter[Step], int]] = {}

    def note(self, steps: Counter[Step]) -> None:
        """One more object; nobody may change ``steps`` any more."""
        _, times = self._shared.get(id(steps), (steps, 0))
        self._shared[id(steps)] = steps, times + 1

    def total(self) -> Counter[Step]:
        """How often each step was done in all of them."""
        found: Counter[Step] = Counter()
        for steps, times in self._shared.values():
            for step, count in steps.items():
                found[step] += count * times
        return found


class Done(NamedTuple):
    """Some inputs, and what was done in those that are out: how often each step, without a value."""

    results: list[Result]
    steps: Counter[Step]
