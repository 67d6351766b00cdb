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


class Done(NamedTuple):
    """Some inputs, and what was done in those that are out: how often each step, without a value."""

    results: list[Result]
    steps: Counter[Step]
