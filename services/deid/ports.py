"""What de-identification needs from outside."""

from collections.abc import Sequence
from typing import Any, Protocol

from contracts.events import CopyKey, Event, PackPlanned
from services.deid.domain.facts import Outputs, Result
from services.deid.domain.packing import CleanPack, Original, Workspace
from services.deid.domain.part10 import Project


class Inputs(Protocol):
    """The originals of a plan."""

    async def originals(self, event: PackPlanned) -> Sequence[Original]:
        """Every instance, with the places where its bytes can be read; InputDamaged when its manifest is nowhere."""
        ...


class Projects(Protocol):
    """The projects that things are de-identified for."""

    def open(self, name: str) -> Project:
        """The project, with a key of its own that is made with its first pack."""
        ...


class WorkArea(Protocol):
    """The bytes that de-identification owns, all on site."""

    def workspace(self) -> Workspace:
        """Files to work in, empty."""
        ...

    async def keep(self, pack: CleanPack, project: Project, workspace: Workspace) -> Outputs | None:
        """Make the pack and the withheld originals durable; None when nothing goes out."""
        ...

    async def complete(self, outputs: Outputs) -> bool:
        """Whether everything that was kept is still there."""
        ...

    async def release(self, outputs: Outputs) -> None:
        """Remove archive and headers; manifest and links stay."""
        ...


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
