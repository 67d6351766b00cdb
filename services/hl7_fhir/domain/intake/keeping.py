"""What is kept of a message, and what becomes of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.hl7_fhir.domain.intake.arrival import Arrival
from services.hl7_fhir.domain.messages.refusal import Refused

#: ``waiting`` to be mapped, ``done``, ``refused`` for its content, ``failed`` for a fault of ours. A person decides
#: about the last two: such a message was ``corrected`` by another one, or ``discarded``.
State = Literal["waiting", "done", "refused", "failed", "corrected", "discarded"]


@dataclass(frozen=True)
class Entry:
    """A message as it goes into the journal. ``code`` is AA or AE; ``origin`` its sender's name in the registry,
    ``peer`` the address that it came from.
    """

    arrival: Arrival
    code: Literal["AA", "AE"] = "AA"
    state: State = "waiting"
    origin: str = ""
    reason: str | None = None
    place: str | None = None
    flags: tuple[str, ...] = ()
    corrects: str | None = None
    peer: str = ""

    @classmethod
    def refused(cls, arrival: Arrival, refusal: Refused, origin: str = "", peer: str = "") -> "Entry":
        """A message whose content is at fault."""
        place = refusal.place.told()
        return cls(arrival, "AE", "refused", origin, reason=refusal.reason, place=place, peer=peer)


@dataclass(frozen=True)
class Kept:
    """A message in the journal, without its content; ``size`` in bytes."""

    sequence: int
    ref: str
    received: datetime
    origin: str
    type: str = field(repr=False)
    trigger: str = field(repr=False)
    state: State
    code: str
    reason: str | None
    place: str | None
    flags: tuple[str, ...]
    size: int
    corrects: str | None
