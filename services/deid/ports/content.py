"""The bytes that come in, and those that de-identification owns."""

from collections.abc import Iterable
from typing import Protocol

from contracts.events import Blob, PackPlanned
from services.deid.domain.facts import Outputs, Result
from services.deid.domain.packing import CleanPack, Opener, Original
from services.deid.domain.part10 import Project
from services.deid.domain.workspace import Workspace


class Inputs(Protocol):
    """The originals of a plan."""

    async def originals(self, event: PackPlanned) -> Iterable[Original]:
        """Every instance, with the places where its bytes can be read; InputDamaged when its manifest is nowhere.

        To be gone through once, on a worker thread: the instances are read as they are asked for.
        """
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

    async def keep(self, pack: CleanPack, project: Project) -> Outputs | None:
        """Make the pack and the withheld originals durable; None when nothing goes out."""
        ...

    async def complete(self, outputs: Outputs) -> bool:
        """Whether everything that was kept is still there."""
        ...

    def held(self, key: str, size: int) -> Opener:
        """The bytes of a withheld original, for a worker thread."""
        ...

    async def keep_report(self, pack: CleanPack, project: Project, source_pack_id: str) -> Blob:
        """Make durable what was done to a pack and what was withheld, also where nothing goes out."""
        ...

    async def report(self, result: Result) -> bytes | None:
        """What was done to a pack, None where nobody wrote that down."""
        ...

    async def forget(self, key: str, size: int) -> None:
        """Remove the bytes of a withheld original."""
        ...

    async def release(self, outputs: Outputs) -> None:
        """Remove archive and headers; manifest and links stay."""
        ...
