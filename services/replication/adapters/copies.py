"""Copies in a target: parts put on condition, from any source that still holds them as they were sealed."""

import asyncio
import contextlib
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from contracts.events import Blob, CopyKey, Part, Sealed
from services.replication.adapters.budget import Budget, SharedBudget
from services.replication.adapters.sources import Sources
from services.replication.domain import (
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
from shared.storage.parts import part_key, read_parts

_TOMBSTONE = json.dumps({"format": "causeway.removed/1"}, separators=(",", ":")).encode()
_KNOWN_KEYS = 4096
_AWAY = "away"
_LET_GO = 500  # looks, two milliseconds apart
_OURS = 3  # references: the caller's, ours, and that of the counting itself

T = TypeVar("T")

log = logger("causeway.replication")


@dataclass(frozen=True)
class Limits:
    """What a target may use: parts at a time, its own bytes in memory, those of all targets together."""

    target: str
    parts: asyncio.Semaphore
    own: Budget
    shared: SharedBudget

    async def spend(self, size: int, work: Callable[[], Awaitable[T]]) -> T:
        """What ``work`` gives, done with the right to one part of ``size`` bytes; it may be begun again."""
        async with self.parts, self.own.hold(size):
            return await self.shared.spend(self.target, size, work)


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

    async def first_kept(self, sealed: Sealed, generation: int) -> int:
        while await self._buried(folder(self._site_key, sealed.form, sealed.sealed_id, generation)):
            generation += 1
        return generation

    async def begun(self, copy_key: CopyKey) -> bool:
        return bool(await self._present(_folder_of(copy_key)))

    async def removed(self, copy_key: CopyKey) -> bool:
        return await self._buried(_folder_of(copy_key))

    async def write(self, write: Write) -> None:
        if write.copy_key.tier not in self._tiers:
            raise TierUnknown
        await self._put_key_record(write.sealed.study_key, doubted=write.doubted)
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

    async def forget_key(self, record: str) -> None:
        with contextlib.suppress(BlobMissing):
            await self._key_bucket.delete(part_key(record, 1))
        self._known_keys.discard(record)

    async def _buried(self, place: str) -> bool:
        try:
            await self._key_bucket.head(tombstone(place))
        except BlobMissing:
            return False
        return True

    async def _present(self, place: str) -> set[str]:
        return {blob.key async for blob in self._target.list(place)}

    async def _put_key_record(self, record: Blob, *, doubted: bool) -> None:
        """A copy whose key is not beside it is of no use when the site is lost: the record goes first."""
        if record.key in self._known_keys and not doubted:
            return
        try:
            data = b"".join([chunk async for chunk in read_parts(self._key_records, record.key, record.size)])
        except (StoreUnavailable, StoreRefused):
            raise SourceAway from None
        await self._keep_record(part_key(record.key, 1), data, record)
        if len(self._known_keys) >= _KNOWN_KEYS:
            self._known_keys.clear()
        self._known_keys.add(record.key)

    async def _keep_record(self, key: str, data: bytes, record: Blob) -> None:
        try:
            await self._key_bucket.put(key, data, sha256=record.sha256)
        except BlobCorrupt:  # the record on site is not the one that the seal was made with
            raise SourceLost(SOURCE_DAMAGED) from None
        except BlobExists:
            if record.sha256 is None:
                raise
            # The site's record has the digest that the seal tells, so what lies there was damaged. Nothing in a key
            # bucket is locked, and without its key every copy beside it is lost.
            log.warning("key-record-replaced", target=self._limits.target)
            await self._key_bucket.delete(key)
            await self._key_bucket.put(key, data, sha256=record.sha256)

    async def _put(self, part: Part, key: str, write: Write) -> None:
        outcomes = await self._limits.spend(part.size, lambda: self._put_from_any(part, key, write))
        if outcomes:
            raise _fate(outcomes)

    async def _put_from_any(self, part: Part, key: str, write: Write) -> set[str]:
        """What was wrong with every source; nothing when the part lies in the target now."""
        target, seen = self._tiers[write.copy_key.tier], set[str]()
        async for source in self._sources.of(part, write):
            outcome = await _copy(source, part, target, key)
            if outcome is None:
                return set()
            seen.add(outcome)
        return seen


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
        return await _place(target, key, data, part)
    except BaseException as error:
        _let_go(error)
        raise
    finally:
        await _unshared(data)


async def _place(target: BlobStore, key: str, data: bytes, part: Part) -> str | None:
    try:
        await target.put(key, data, sha256=part.sha256)
    except BlobCorrupt:
        log.warning("source-damaged", part=part.number)
        return SOURCE_DAMAGED
    except BlobExists:
        # Someone else's bytes lie there. Reading them back is verification's business, and so is the verdict.
        log.warning("part-taken", part=part.number)
    return None


async def _unshared(data: bytes) -> None:
    """Wait until no thread of a client holds on to ``data``, so that bytes count as given back only when they are.

    A client answers a moment before its own threads let go of 64 MiB; meanwhile the next part would be a part too many.
    """
    for _ in range(_LET_GO):
        if sys.getrefcount(data) <= _OURS:
            return
        await asyncio.sleep(0.002)


def _let_go(error: BaseException | None) -> None:
    """Take the bytes out of the frames that a failed put leaves behind with its error."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


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
