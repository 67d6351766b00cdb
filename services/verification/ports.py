"""What verification needs from outside."""

from collections.abc import Sequence
from typing import Protocol

from contracts.events import CopyAbsent, CopyKey
from services.verification.domain.copies import Absence, Cause, KnownCopy, Outcome


class Reading(Protocol):
    """The copies of one target, as they can be read."""

    async def prove(self, copy: KnownCopy) -> Outcome:
        """Read every byte of the copy back: the proof, or what is wrong. The target's errors when it can't be read."""

    async def absence(self, copy_key: CopyKey, study_key: str | None) -> Absence | None:
        """How a copy is gone: its objects, or the key (named by its record) that they need. None when it is not."""


class Ledger(Protocol):
    """What is known of the copies, and what is said of them."""

    async def find(self, copy_key: CopyKey) -> KnownCopy | None:
        """What is known of one generation."""

    async def settled(self, event_id: str, copy_key: CopyKey) -> bool:
        """Whether the event was taken in before, or nobody wants its copy any longer."""

    async def record(self, copy: KnownCopy, outcome: Outcome, cause: Cause) -> None:
        """Keep what a reading found, and tell it; nothing for a cause taken in before or a copy that has expired."""

    async def repeat(self, copy: KnownCopy, cause: Cause) -> None:
        """Tell the standing proof of a copy once more, for another run."""

    async def expire(self, copy_key: CopyKey) -> None:
        """Nobody wants this generation: read it no more."""

    async def due(self, target: str, limit: int) -> Sequence[KnownCopy]:
        """Copies whose proof is to be made anew, the longest due first; they are not due for others meanwhile."""

    async def tell_absent(self, fact: CopyAbsent) -> None:
        """Tell that a copy that was called back is gone."""

    async def make_due(self, *, sealed_id: str | None = None, study_ref: str | None = None) -> int:
        """Let the copies of a sealed pack, of a study, or all, be read again now; their number."""
