"""Copies in a target: parts put on condition, from any source that still holds them as they were sealed."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

from contracts.events import Blob, CopyKey, Part, Sealed
from services.replication.domain import (
    FIRST_GENERATION,
    SOURCE_DAMAGED,
    SOURCE_MISSING,
    SourceAway,
    SourceLost,
    TierUnknown,
    Write,
    folder,
    tombstone,
)
from shared.identity import SiteKey
from shared.observability import logger
from shared.storage import (
    BlobCorrupt,
    BlobExists,
    BlobMissing,
    BlobStore,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from shared.storage.parts import read_parts

_TOMBSTONE = json.dumps({"format": "causeway.removed/1"}, separators=(",", ":")).encode()
_KNOWN_KEYS = 4096
_AWAY = "away"
_LET_GO = 500  # looks, two milliseconds apart
_OURS = 3  # references: the caller's, ours, and that of the counting itself

log = logger("causeway.replication")


class Budget:
    """Bytes that may be in memory at one time, given out in the order in which they are asked for."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._turn = asyncio.Lock()
        self._given_back = asyncio.Event()

    @contextlib.asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Hold ``size`` bytes; what is larger than the whole budget takes all of it."""
        share = min(size, self._size)
        async with self._turn:
            while self._free < share:
                self._given_back.clear()
                await self._given_back.wait()
            self._free -= share
        try:
            yield
        finally:
            self._free += share
            self._given_back.set()


@dataclass(frozen=True)
class Sources:
    """Where ciphertext may be read: the sealing buffer, then other targets by name."""

    buffer: BlobStore
    targets: Mapping[str, BlobStore]

    def of(self, part: Part, copies: tuple[CopyKey, ...]) -> Iterator[tuple[BlobStore, str]]:
        """The stores and keys that may hold ``part``, in the order in which they are worth asking."""
        yield self.buffer, part.key
        for copy in copies:
            if copy.target in self.targets and 0 < part.number <= len(copy.keys):
                yield self.targets[copy.target], copy.keys[part.number - 1]


@dataclass(frozen=True)
class Limits:
    """What one target may use: parts at a time, its own bytes in memory, those of all targets together."""

    parts: asyncio.Semaphore
    own: Budget
    shared: Budget

    @contextlib.asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Hold the right to one part of ``size`` bytes."""
        async with self.parts, self.own.hold(size), self.shared.hold(size):
            yield


class TargetCopies:
    """The copies in one target, and the records of their keys in its key bucket."""

    def __init__(
        self,
        *,
        site_key: SiteKey,
        tiers: Mapping[str, BlobStore],
        key_bucket: BlobStore,
        key_records: BlobStore,
        sources: Sources,
        limits: Limits,
    ) -> None:
        self._site_key = site_key
        self._tiers = tiers
        # Tiers differ in the class of what is put; to read, list and delete, one is as good as another.
        self._target = next(iter(tiers.values()))
        self._key_bucket = key_bucket
        self._key_records = key_records
        self._sources = sources
        self._limits = limits
        self._known_keys: set[str] = set()

    async def probe(self) -> None:
        """Returns when the target answers, whatever it says."""
        with contextlib.suppress(BlobMissing, StoreRefused):
            await self._target.head("probe")

    async def generation(self, sealed: Sealed) -> int | None:
        generation = FIRST_GENERATION
        while await self._buried(folder(self._site_key, sealed.form, sealed.sealed_id, generation)):
            generation += 1
        if generation > FIRST_GENERATION:
            place = folder(self._site_key, sealed.form, sealed.sealed_id, generation)
            return generation if await self._present(place) else None
        return generation

    async def removed(self, copy_key: CopyKey) -> bool:
        return await self._buried(_folder_of(copy_key))

    async def write(self, write: Write) -> None:
        if write.copy_key.tier not in self._tiers:
            raise TierUnknown
        await self._put_key_record(write.sealed.study_key)
        present = await self._present(_folder_of(write.copy_key))
        try:
            async with asyncio.TaskGroup() as group:
                for part, key in write.pairs:
                    if key not in present:
                        group.create_task(self._put(part, key, write))
        except BaseExceptionGroup as failures:
            raise _first(failures) from None

    async def remove(self, copy_key: CopyKey) -> None:
        # The tombstone first: a repeat of pack.sealed must not write again what is being removed.
        with contextlib.suppress(BlobExists):
            await self._key_bucket.put(tombstone(_folder_of(copy_key)), _TOMBSTONE)
        for key in await self._present(_folder_of(copy_key)):
            await self._target.delete(key)

    async def _buried(self, place: str) -> bool:
        try:
            await self._key_bucket.head(tombstone(place))
        except BlobMissing:
            return False
        return True

    async def _present(self, place: str) -> set[str]:
        return {blob.key async for blob in self._target.list(place)}

    async def _put_key_record(self, record: Blob) -> None:
        """A copy whose key is not beside it is of no use when the site is lost: the record goes first."""
        if record.key in self._known_keys:
            return
        try:
            data = b"".join([chunk async for chunk in read_parts(self._key_records, record.key, record.size)])
        except (StoreUnavailable, StoreRefused):
            raise SourceAway from None
        await self._key_bucket.put(f"{record.key}/0001", data, sha256=record.sha256)
        if len(self._known_keys) >= _KNOWN_KEYS:
            self._known_keys.clear()
        self._known_keys.add(record.key)

    async def _put(self, part: Part, key: str, write: Write) -> None:
        target = self._tiers[write.copy_key.tier]
        async with self._limits.hold(part.size):
            seen: set[str] = set()
            for source in self._sources.of(part, write.sources):
                outcome = await _copy(source, part, target, key)
                if outcome is None:
                    return
                seen.add(outcome)
        raise _fate(seen)


async def _copy(source: tuple[BlobStore, str], part: Part, target: BlobStore, key: str) -> str | None:
    """None when the part lies in the target now, else what is wrong with the source."""
    store, source_key = source
    try:
        data = await store.get(source_key)
    except BlobMissing:
        return SOURCE_MISSING
    except (StoreUnavailable, StoreRefused, StoreFull):
        return _AWAY
    try:
        await target.put(key, data, sha256=part.sha256)
    except BlobCorrupt:
        log.warning("source-damaged", part=part.number)
        return SOURCE_DAMAGED
    except BlobExists:
        # Someone else's bytes lie there. Reading them back is verification's business, and so is the verdict.
        log.warning("part-taken", part=part.number)
    await _unshared(data)
    return None


async def _unshared(data: bytes) -> None:
    """Wait until no thread of a client holds on to ``data``, so that bytes count as given back only when they are.

    A client answers a moment before its own threads let go of 64 MiB; meanwhile the next part would be a part too many.
    """
    for _ in range(_LET_GO):
        if sys.getrefcount(data) <= _OURS:
            return
        await asyncio.sleep(0.002)


def _folder_of(copy_key: CopyKey) -> str:
    return copy_key.keys[0].rsplit("/", 1)[0]


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Parts fail together; the first error speaks for the copy."""
    error = failures.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _fate(seen: set[str]) -> SourceAway | SourceLost:
    if _AWAY in seen:
        return SourceAway()
    return SourceLost(SOURCE_DAMAGED if SOURCE_DAMAGED in seen else SOURCE_MISSING)
