"""What is to be said of copies, and of what got none, from the latest that was told, whatever the order was."""

from dataclasses import dataclass
from typing import Literal

State = Literal["failed", "written", "proven", "damaged", "removed"]


@dataclass(frozen=True)
class Told:
    """When each kind of fact last happened, in seconds since 1970; None for what was never told."""

    written: float | None = None
    proven: float | None = None
    damaged: float | None = None
    removed: float | None = None


def state_of(told: Told) -> State:
    """The state that follows: a proof counts from after the last damage on, and a removed generation never comes back.

    Without any time there was nothing but a target that refused.
    """
    if told.removed is not None:
        return "removed"
    if told.proven is not None and (told.damaged is None or told.proven > told.damaged):
        return "proven"
    if told.damaged is not None:
        return "damaged"
    return "failed" if told.written is None else "written"


def was_let_go(run: int, part: int, withheld_in: int) -> bool:
    """Whether a de-identified pack lets go what its plan's run number ``withheld_in`` withheld.

    A part from 1 on is what a person released from quarantine; part 0 of a later ``run`` was made under other rules.
    """
    return part > 0 or run > withheld_in
