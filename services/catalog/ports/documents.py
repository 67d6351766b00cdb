"""Documents in the stores of others, and a place for our own."""

from collections.abc import AsyncIterator
from typing import Protocol

from contracts import events
from contracts.formats.headers import Header
from contracts.formats.manifest import Manifest


class Documents(Protocol):
    """The documents of batches and packs (ManifestBroken for a bad manifest), and a place for study summaries."""

    async def manifest(self, blob: events.Blob) -> Manifest: ...
    def headers(self, batch: events.Batch) -> AsyncIterator[Header]: ...
    async def references(self, blob: events.Blob) -> tuple[str, ...]: ...
    async def links(self, blob: events.Blob) -> list[dict[str, str]]: ...
    async def keep_summary(self, key: str, document: bytes) -> events.Blob: ...
