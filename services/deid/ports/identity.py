"""What relates pseudonyms to people, as those who ask for it see it."""

from collections.abc import Sequence
from typing import Protocol

from contracts.events import PatientMerged
from services.deid.domain.documents import Identity
from services.deid.domain.journal import Disclosure, Undone
from services.deid.domain.merges import Outdated


class IdentityMap(Protocol):
    """Who and what became what."""

    async def find(self, project: str, replacement: str) -> Sequence[Identity]:
        """What a pseudonym or a new UID stands for; patients who were merged have several."""
        ...

    async def count(self, project: str) -> int:
        """How many entries the map of a project has."""
        ...

    async def page(self, project: str, after: tuple[str, str]) -> tuple[Sequence[Identity], tuple[str, str] | None]:
        """Some of a project's map behind ``after`` (kind, token), and where the next page begins, if there is one."""
        ...

    async def disclose(self, project: str, one: Disclosure) -> None:
        """Keep, durably, that somebody was led back; RetryLater: then nothing may be told."""
        ...


class Merges(Protocol):
    """Whose record goes on in whose."""

    async def hear(self, event: PatientMerged, told: float) -> bool:
        """Keep a merge that was told at ``told`` (seconds since 1970); False when it changes nothing."""
        ...

    async def undo(self, one: Undone) -> bool:
        """Take a merge back, and keep who did and why; False without one."""
        ...

    async def outdated(self) -> Sequence[Outdated]:
        """What went out of merged patients under a pseudonym that is not theirs any more."""
        ...
