"""What a search or a history found."""

from dataclasses import dataclass

from services.hl7_fhir.domain.fhir.conditions import Position
from services.hl7_fhir.domain.fhir.documents import Stored


@dataclass(frozen=True)
class Page:
    """A page of a search: the matches in order, what came with them, and where the next page begins, if there is one.

    ``total`` is None when it was not counted. ``is_whole``: nothing that was to be included is left out.
    """

    total: int | None
    found: tuple[Stored, ...] = ()
    included: tuple[Stored, ...] = ()
    following: Position | None = None
    is_whole: bool = True


@dataclass(frozen=True)
class Versions:
    """A page of a history, the newest first; ``following`` is the last of them when there are older ones."""

    found: tuple[Stored, ...]
    following: Stored | None = None
