"""What is withheld, and what people decided of it."""

from collections.abc import Mapping, Sequence
from typing import BinaryIO, Protocol

from contracts.events import Event
from services.deid.domain.facts import Result
from services.deid.domain.names import Names
from services.deid.domain.packing import CleanPack
from services.deid.domain.part10 import Project
from services.deid.domain.quarantine import Entry, Ruling


class Quarantine(Protocol):
    """The list of what is withheld, with its journal of decisions."""

    async def listed(self, state: str | None, project: str | None, limit: int, offset: int) -> tuple[int, list[Entry]]:
        """How many there are, and some of them, those that wait longest first."""
        ...

    async def entry(self, entry_id: str) -> Entry | None:
        """One of them."""
        ...

    async def rulings(self, entry: Entry) -> Sequence[Ruling]:
        """What was decided of it, the first first."""
        ...

    async def plan_of(self, entry: Entry) -> Result | None:
        """What was recorded of the pack that it was withheld from."""
        ...

    async def studies_of(self, entry: Entry) -> Mapping[str, Names]:
        """What the headers of that pack named, by Study Instance UID; nothing of packs of earlier versions."""
        ...

    async def decide(self, entry: Entry, ruling: Ruling, found: Entry | None = None) -> bool:
        """Write a decision down, durably; ``found`` is how the entry looks after a retry that held it again.

        False when somebody else decided before.
        """
        ...

    async def let_go(self, entry: Entry, ruling: Ruling, project: Project, pack: CleanPack, result: Result) -> bool:
        """The same for an entry that goes out, with all that its part comes to; that is yet to be told."""
        ...

    async def untold(self) -> Sequence[tuple[Entry, int, Result]]:
        """Parts that nobody was told of yet, with their numbers."""
        ...

    async def tell(self, result: Result, event_id: str, fact: Event) -> None:
        """Publish the fact that a part is ready."""
        ...

    async def overdue(self, before: float) -> Sequence[Entry]:
        """Entries that have waited since before that (seconds since 1970)."""
        ...

    async def unwanted(self) -> Sequence[Entry]:
        """Decided entries whose originals' bytes are here still, and that no waiting entry shares."""
        ...

    async def bytes_gone(self, entry: Entry) -> None:
        """Note that they are gone."""
        ...


class Results(Protocol):
    """What went out."""

    async def results(self, pack_id: str) -> Sequence[Result]:
        """What was made of a planned pack, with its further parts; or the one de-identified pack of that id."""
        ...


class Pictures(Protocol):
    """Renders one frame of a Part 10 file for people to look at."""

    async def png(self, file: BinaryIO, frame: int) -> bytes | None:
        """The frame (from 0) as PNG, None when it can't be shown."""
        ...
