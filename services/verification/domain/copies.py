"""What is known of a copy, and the facts that follow from reading it back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts.events import CopyAbsent, CopyDamaged, CopyKey, CopyRemoved, CopyVerified, CopyWritten, Sealed
from services.verification.domain.proving import Damage, Proof
from shared.identity import SiteKey

State = Literal["written", "proven", "damaged", "expired"]


@dataclass(frozen=True)
class KnownCopy:
    """One generation of one copy. ``proofs`` counts how often it was read back by schedule."""

    copy_key: CopyKey
    sealed: Sealed
    written: datetime
    state: State
    proven: datetime | None = None
    proofs: int = 0


@dataclass(frozen=True)
class Cause:
    """Why a copy is read: an event (its id and run), or the schedule (None, and the number of the reading)."""

    event_id: str | None
    run: int

    @property
    def step(self) -> str:
        """What tells readings of the two kinds apart in a ``ce-id``."""
        return "written" if self.event_id else "scheduled"


Outcome = Proof | Damage

#: How a copy is known to be gone: its objects are, or the key that they need is.
Absence = Literal["removed", "shredded"]


def known(event: CopyWritten) -> KnownCopy:
    """A copy that was written and not read yet."""
    return KnownCopy(event.copy_key, event.sealed, event.written, "written")


def scheduled(copy: KnownCopy) -> Cause:
    """The next reading by schedule."""
    return Cause(None, copy.proofs + 1)


def recent(copy: KnownCopy, now: datetime, reprove_after: float) -> bool:
    """Whether the copy's last proof still stands, so that it need only be told again."""
    return copy.state == "proven" and copy.proven is not None and (now - copy.proven).total_seconds() < reprove_after


def verified(copy: KnownCopy, proven: datetime, cause: Cause) -> CopyVerified:
    """The fact that the copy was read back at ``proven`` and is, instance for instance, what was received."""
    return CopyVerified(
        copy_key=copy.copy_key,
        level="instances",
        instances=copy.sealed.instances,
        size=copy.sealed.size,
        written=copy.written,
        proven=proven,
        run=cause.run,
    )


def damaged(
    copy: KnownCopy, damage: Damage, found: datetime, cause: Cause, others: Iterable[KnownCopy], unproven: int
) -> CopyDamaged:
    """The fact that it is not, with the copies of the same pack whose last word is a proof."""
    sources = tuple(other.copy_key for other in others if other.state == "proven" and other.copy_key != copy.copy_key)
    return CopyDamaged(
        copy_key=copy.copy_key,
        sealed=copy.sealed,
        reason=damage,
        sources=sources,
        found=found,
        run=cause.run,
        unproven=unproven,
    )


def absent(event: CopyRemoved, level: Absence, found: datetime) -> CopyAbsent:
    """The fact that a copy that was called back is gone. ValueError for one that was not."""
    if event.recall_id is None:
        raise ValueError("the copy was not called back")
    return CopyAbsent(copy_key=event.copy_key, recall_id=event.recall_id, level=level, found=found)


def unproven(generation: int, known: Mapping[int, tuple[str, datetime | None]]) -> int:
    """How many generations in a row, up to this damaged one, never were proven (``known``: state and last proof)."""
    if known.get(generation, ("written", None))[1] is not None:
        return 0
    older = generation - 1
    while known.get(older) == ("damaged", None):
        older -= 1
    return generation - older


def event_id(site_key: SiteKey, fact: CopyVerified | CopyDamaged, cause: Cause) -> str:
    """The ``ce-id`` of what a reading found: one per copy, generation, kind of reading and run."""
    key = fact.copy_key
    return site_key.event_id(fact.subject, key.sealed_id, key.target, key.generation, cause.step, fact.run)


def absence_id(site_key: SiteKey, fact: CopyAbsent) -> str:
    """The ``ce-id`` of a copy's absence: one per generation and recall."""
    key = fact.copy_key
    return site_key.event_id(fact.subject, key.sealed_id, key.target, key.generation, fact.recall_id)
