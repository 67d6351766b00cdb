"""Where a scheduled step stands: what the RIS said, what the modality reported, what arrived.

Each of the three is kept by itself, so that they may come in any order and more than once.
"""

from collections.abc import Collection, Mapping
from enum import Enum

from services.hl7_fhir.domain.clinical.record import Fields
from services.hl7_fhir.domain.messages.message import first


class State(Enum):
    """The first five are defined terms of Scheduled Procedure Step Status (0040,0020)."""

    SCHEDULED = "SCHEDULED"
    ARRIVED = "ARRIVED"
    READY = "READY"
    STARTED = "STARTED"
    DEPARTED = "DEPARTED"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"
    CANCELLED = "CANCELLED"
    HELD = "HELD"


#: ORC-1 that holds an order, whatever an earlier message left in ORC-5.
_HOLDS = frozenset(("HD", "HR", "OH"))

#: What a worklist shows; of those that are done only for a while.
WAITING = frozenset((State.SCHEDULED, State.ARRIVED, State.READY, State.STARTED, State.DEPARTED))
DONE = frozenset((State.COMPLETED, State.DISCONTINUED))

#: Task.status (R4 value set task-status).
TASK = {
    State.SCHEDULED: "requested",
    State.ARRIVED: "accepted",
    State.READY: "ready",
    State.STARTED: "in-progress",
    State.DEPARTED: "in-progress",
    State.COMPLETED: "completed",
    State.DISCONTINUED: "failed",
    State.CANCELLED: "cancelled",
    State.HELD: "on-hold",
}


def ordered(fields: Fields, status: str, local: Mapping[str, State]) -> State:
    """What the RIS says by ServiceRequest.status, ORC-1 and ORC-5 (tables 0119 and 0038).

    ``local`` maps ``<ORC-1>_<ORC-5>`` to a state and comes first, but for an order that was cancelled. A new order with
    ``IP`` is scheduled, which is how order fillers send it; a later ``IP`` or ``A`` says that somebody has begun.
    """
    control, code = (first(fields.get(name, ())).upper() for name in ("ORC-1", "ORC-5"))
    if status in ("revoked", "entered-in-error"):
        return State.CANCELLED
    if (named := local.get(f"{control}_{code}")) is not None:
        return named
    if status == "on-hold" or control in _HOLDS:
        return State.HELD
    if status == "completed":
        return State.COMPLETED
    return State.STARTED if code == "A" or (code == "IP" and control != "NW") else State.SCHEDULED


def state(said: State, reports: Collection[str], images: str | None, *, alone: bool) -> State:
    """The state of a step.

    ``said`` is that of the RIS. ``reports`` are the states of performed steps (MPPS) that fulfil it; ``mistaken`` is
    one that was given up because the wrong entry had been chosen (PS3.16 CID 9300): it is still to be done. ``images``
    is None, ``received`` or ``completed`` for the study; they do not tell which of several steps is done, so unless the
    step is ``alone`` in its study they only say that somebody has begun.
    """
    if said in (State.CANCELLED, State.COMPLETED):
        return said
    performed = [each for each in reports if each != "mistaken"]
    if performed:
        return _performed(performed)
    if images is None or reports:  # images of a step that was chosen by mistake say nothing of this one
        return said
    return State.COMPLETED if images == "completed" and alone else State.STARTED


def _performed(reports: Collection[str]) -> State:
    if {"in-progress", "unknown"} & set(reports):
        return State.STARTED
    return State.COMPLETED if "completed" in reports else State.DISCONTINUED
