"""What is to be said of one generation of a copy, from the latest that was told of it, whatever the order was."""

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
