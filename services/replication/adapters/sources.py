"""Where the ciphertext of a part may be read: wherever it is still as it was sealed."""

import itertools
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass

from contracts.events import Part
from services.replication.domain import FIRST_GENERATION, Write, folder, tombstone
from shared.identity import SiteKey
from shared.storage import BlobMissing, BlobStore, StoreRefused, StoreUnavailable
from shared.storage.parts import part_key

#: After so many generations in a row of which there is no trace, no later one is sought.
GAP = 8


@dataclass(frozen=True)
class Place:
    """A target as a source: its copies, its key bucket with the marks of those removed, the forms that it allows."""

    copies: BlobStore
    keys: BlobStore
    forms: Collection[str]


@dataclass(frozen=True)
class Sources:
    """The sealing buffer, then copies in targets by name. Whatever is read there is checked by its digest."""

    site_key: SiteKey
    buffer: BlobStore
    targets: Mapping[str, Place]

    async def of(self, part: Part, write: Write) -> AsyncIterator[tuple[BlobStore, str]]:
        """Stores and keys that may hold ``part``, in the order in which they are worth asking.

        After the buffer and the copies that are known to be proven, every generation in every target: a plan names
        only the copies that are still to be written, and keys follow from the pack.
        """
        yield self.buffer, part.key
        for copy in write.sources:
            if copy.target in self.targets and 0 < part.number <= len(copy.keys):
                yield self.targets[copy.target].copies, copy.keys[part.number - 1]
        own = write.copy_key.target
        for name in sorted(self.targets, key=lambda each: (each == own, each)):
            if write.sealed.form in self.targets[name].forms:
                async for key in self._kept(self.targets[name], part, write):
                    yield self.targets[name].copies, key

    async def _kept(self, place: Place, part: Part, write: Write) -> AsyncIterator[str]:
        """The keys of ``part`` in the generations of one target; the last one asked for when it gives no answer."""
        absent = 0
        for generation in itertools.count(FIRST_GENERATION):
            copy = folder(self.site_key, write.sealed.form, write.sealed.sealed_id, generation)
            key = part_key(copy, part.number)
            try:
                there = await _holds(place.copies, key)
                known = there or await _holds(place.keys, tombstone(copy))
            except (StoreUnavailable, StoreRefused):
                yield key  # whoever reads it finds out what is wrong, and that the part may be here
                return
            if there:
                yield key
            absent = 0 if known else absent + 1
            if absent == GAP:
                return


async def _holds(store: BlobStore, key: str) -> bool:
    try:
        await store.head(key)
    except BlobMissing:
        return False
    return True
