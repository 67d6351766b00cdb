"""What the catalogue needs from outside, in its own words."""

from collections.abc import AsyncIterator
from typing import Protocol

from contracts.events import Batch, Blob
from contracts.formats.headers import Header
from contracts.formats.manifest import Manifest


class Documents(Protocol):
    """Reads the documents of batches and packs, and keeps study summaries."""

    async def manifest(self, blob: Blob) -> Manifest:
        """A manifest; ManifestBroken when it is none."""
        ...

    def headers(self, batch: Batch) -> AsyncIterator[Header]:
        """The headers of a batch in the order of its instances."""
        ...

    async def links(self, blob: Blob) -> list[dict[str, str]]:
        """Which original instance became which entry of a de-identified pack."""
        ...

    async def keep_summary(self, key: str, document: bytes) -> Blob:
        """Make a summary durable and give its claim check."""
        ...


class Backlog(Protocol):
    """How much of the stream this service has not seen yet."""

    async def is_empty(self) -> bool:
        """Whether every batch that was published has been registered."""
        ...
