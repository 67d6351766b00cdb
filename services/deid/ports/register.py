"""What de-identification remembers."""

from collections.abc import Sequence
from typing import Any, Protocol

from contracts.events import CopyKey, Event, PackPlanned
from services.deid.domain.facts import Result
from services.deid.domain.packing import CleanPack
from services.deid.domain.part10 import Project


class Quarantine(Protocol):
    """What is withheld."""

    async def quarantine(self) -> Sequence[dict[str, Any]]:
        """Every withheld instance: pack, project, UIDs, digest, reason."""
        ...


class Register(Protocol):
    """What de-identification knows: results, identities, quarantine, and where proven copies lie."""

    async def find(self, source_pack_id: str, project: str) -> Result | None:
        """The result of a pack for a project."""
        ...

    async def record(self, event: PackPlanned, project: Project, pack: CleanPack, result: Result) -> None:
        """Keep the result with the identities and withheld instances it came to; the first of two stays."""
        ...

    async def ran(self, source_pack_id: str, project: str, result: Result, run: int) -> None:
        """Note that a known result was asked for by a later run of its plan."""
        ...

    async def tell(self, facts: Sequence[tuple[str, Event]]) -> None:
        """Publish (``ce-id``, event)."""
        ...

    async def archived(self, batch_id: str) -> Sequence[tuple[str, str, Result]]:
        """Note that a batch is archived; results, by pack and project, of which every batch is now."""
        ...

    async def released(self, source_pack_id: str, project: str) -> None:
        """Note that a result's bytes are gone."""
        ...

    async def copy_proven(self, copy: CopyKey) -> None:
        """Note a proven copy."""
        ...

    async def copy_lost(self, copy: CopyKey) -> None:
        """Forget a copy that is damaged or removed."""
        ...
