"""What replication needs from outside."""

from typing import Protocol

from contracts.events import CopyKey, Event, Sealed
from services.replication.domain import Write


class Publisher(Protocol):
    """The bus, as a speaker sees it."""

    async def publish(self, event: Event, *, id: str) -> int:  # noqa: A002
        """Publish until the stream has it."""


class Copies(Protocol):
    """The copies in one target."""

    async def first_kept(self, sealed: Sealed, generation: int) -> int:
        """The first generation from this one on that was not removed, whether anything of it is there or not."""

    async def begun(self, copy_key: CopyKey) -> bool:
        """Whether any part of this generation is there."""

    async def removed(self, copy_key: CopyKey) -> bool:
        """Whether this generation was removed."""

    async def write(self, write: Write) -> None:
        """Put the key record and every part that is not there; SourceLost, SourceAway, and the target's own errors."""

    async def remove(self, copy_key: CopyKey) -> None:
        """Remove the generation, for ever."""

    async def forget_key(self, record: str) -> None:
        """Delete the record of a study key that was destroyed on site."""
