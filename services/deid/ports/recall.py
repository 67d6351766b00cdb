"""What is called back, as those who call it back see it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from contracts.events import CopyAbsent
from services.deid.domain.facts import Outputs
from services.deid.domain.recall import Progress, Recall


class Recalls(Protocol):
    """The recalls of this site."""

    async def open(self, one: Recall) -> int:
        """Keep that something is called back: from now on nothing is made under its profile. Of how many studies
        something is out under it."""
        ...

    async def unfinished(self) -> Sequence[str]:
        """The recalls of which packs may not be withdrawn yet, the oldest first."""
        ...

    async def withdraw(self, recall_id: str, now: datetime) -> tuple[int, Sequence[Outputs]]:
        """Withdraw the packs of one more study: how many, 0 when none is left; and which bytes of them are here."""
        ...

    async def absent(self, event: CopyAbsent) -> None:
        """Note the proof that a copy is gone."""
        ...

    async def progress(self) -> Sequence[Progress]:
        """How far every recall is."""
        ...
