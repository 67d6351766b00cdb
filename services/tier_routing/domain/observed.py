"""What has been observed of each generation of a copy: events are folded into it in any order, and more than once."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from contracts.events import CopyDamaged, CopyFailed, CopyKey, CopyRemoved, CopyVerified, CopyWritten

CopyEvent = CopyWritten | CopyVerified | CopyDamaged | CopyFailed | CopyRemoved
Reason = Literal["superseded", "retention", "cancelled"]


@dataclass(frozen=True)
class Observed:
    """One generation of one copy: the latest that each kind of event said of it."""

    key: CopyKey
    written: datetime | None = None
    proven: datetime | None = None
    level: str | None = None
    damaged: datetime | None = None
    damage: str | None = None
    failed: datetime | None = None
    failure: str = ""
    retrying: bool = False
    expired: Reason | None = None
    removed: datetime | None = None

    @property
    def is_proven(self) -> bool:
        """Whether the last word on this generation is a proof, and nobody gave it up."""
        proven = self.proven
        return (
            proven is not None
            and (self.damaged is None or proven > self.damaged)
            and (self.removed is None or proven > self.removed)
            and self.expired is None
        )

    @property
    def is_damaged(self) -> bool:
        """Whether the last word on this generation is that it is damaged."""
        return self.damaged is not None and not self.is_proven

    @property
    def is_failing(self) -> bool:
        """Whether the last word of the target was a failure, after the copy was last written or proven."""
        return self.failed is not None and all(at is None or at < self.failed for at in (self.written, self.proven))

    def with_written(self, at: datetime) -> "Observed":
        """The copy was written."""
        return self if self.written and self.written >= at else replace(self, written=at)

    def with_proof(self, at: datetime, level: str, written: datetime) -> "Observed":
        """The copy was read back and proven."""
        seen = self.with_written(written)
        return seen if self.proven and self.proven >= at else replace(seen, proven=at, level=level)

    def with_damage(self, at: datetime, reason: str) -> "Observed":
        """The copy was read back, or sought, and is not what was sealed."""
        return self if self.damaged and self.damaged >= at else replace(self, damaged=at, damage=reason)

    def with_failure(self, at: datetime, reason: str, retrying: bool) -> "Observed":
        """The copy could not be written."""
        if self.failed and self.failed >= at:
            return self
        return replace(self, failed=at, failure=reason, retrying=retrying)

    def with_removal(self, at: datetime) -> "Observed":
        """The copy is no longer in its target."""
        return self if self.removed and self.removed >= at else replace(self, removed=at)


def observe(one: Observed, event: CopyEvent, at: datetime) -> Observed:
    """What is known of a generation after ``event``, which was told ``at``."""
    match event:
        case CopyWritten():
            return one.with_written(event.written)
        case CopyVerified():
            return one.with_proof(event.proven, event.level, event.written)
        case CopyDamaged():
            return one.with_damage(event.found, event.reason)
        case CopyFailed():
            return one.with_failure(at, event.reason, event.retrying)
        case CopyRemoved():
            return one.with_removal(event.removed)
