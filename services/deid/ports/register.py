"""What de-identification remembers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from contracts.events import CopyKey, Event, PackPlanned
from services.deid.domain.facts import Result
from services.deid.domain.packing import CleanPack
from services.deid.domain.part10 import Project

#: A result whose bytes are kept.
Kept = Result


class Register(Protocol):
    """What de-identification knows: results, identities, quarantine, and where copies lie.

    What may be released is answered with the fact that allows it.
    """

    async def find(self, source_pack_id: str, project: str) -> Result | None:
        """The result of a pack for a project."""
        ...

    async def release(self, project: Project, study_ref: str) -> int:
        """How often a study was called back in a project; RetryLater where the project's profile was."""
        ...

    async def record(
        self, event: PackPlanned, when: datetime, project: Project, pack: CleanPack, result: Result
    ) -> Sequence[Kept]:
        """Keep the result with the identities and withheld instances it came to; what may be released.

        RetryLater where the project's profile was called back, or the study was meanwhile.
        """
        ...

    async def asked(self, source_pack_id: str, project: str, result: Result, when: datetime) -> None:
        """Note that a later run of its plan, told at ``when``, asked for a known result, which is this one then."""
        ...

    async def tell(self, facts: Sequence[tuple[str, Event]]) -> None:
        """Publish (``ce-id``, event)."""
        ...

    async def archived(self, batch_id: str, when: datetime) -> Sequence[Kept]:
        """Note that the ledger said at ``when`` that a batch is archived; what may be released."""
        ...

    async def parts(self, source_pack_id: str, project: str) -> Sequence[tuple[int, Result]]:
        """What was released from quarantine later: the number of each part, and its result."""
        ...

    async def released(self, pack_id: str) -> None:
        """Note that the bytes of a de-identified pack are gone."""
        ...

    async def copy_proven(self, copy: CopyKey, when: datetime) -> Sequence[Kept]:
        """Note a proof of a copy; what may be released."""
        ...

    async def copy_lost(self, copy: CopyKey, when: datetime | None) -> None:
        """Note that a copy was found damaged at ``when``, or (None) is gone for good."""
        ...

    async def proven_copies(self, pack_id: str) -> Sequence[CopyKey]:
        """The proven copies of a pack, the newest generation first."""
        ...
