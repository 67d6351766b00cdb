"""Reading a copy back from its target: one pass, the next chunk on its way while the last is worked on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial

from contracts.events import CopyKey, Part, Sealed
from contracts.formats.errors import KeyProblem
from contracts.formats.keys import KeyEncryptionKeys, StudyKeyRecord
from services.verification.domain.copies import Absence, KnownCopy, Outcome
from services.verification.domain.proving import Disproved, Proof, Proving
from shared.errors import RetryLater, Unprocessable
from shared.messaging.threads import in_thread
from shared.storage import BlobMissing, BlobStore, StoreRefused
from shared.storage.administration import is_hidden
from shared.storage.parts import part_key
from shared.storage.targets import Target, open_key_bucket


class KeysAway(RetryLater):
    """The key-encryption key can't be used now; an operator has to put it back. ``reason`` is the format's."""


class KeyDestroyed(Unprocessable):
    """The study key is nowhere any longer: nobody can read this copy, nor prove it."""

    def __init__(self) -> None:
        super().__init__("study-key-missing")


class StudyKeys:
    """Opens the study key that lies beside a copy; the key store tells a lost record from a destroyed key.

    ``is_hidden`` says of an object that the key bucket does not show whether it is kept all the same, as a version.
    """

    def __init__(
        self,
        *,
        key_bucket: BlobStore,
        key_records: BlobStore,
        keys: KeyEncryptionKeys,
        is_hidden: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._key_bucket = key_bucket
        self._key_records = key_records
        self._keys = keys
        self._is_hidden = is_hidden

    @classmethod
    def beside(cls, target: Target, key_records: BlobStore, keys: KeyEncryptionKeys) -> "StudyKeys":
        """Those of ``target``'s copies."""
        hidden = partial(is_hidden, target)
        return cls(key_bucket=open_key_bucket(target), key_records=key_records, keys=keys, is_hidden=hidden)

    async def open(self, sealed: Sealed) -> bytes:
        """The study key, by the record in the target. Disproved when only the target has lost it."""
        key = part_key(sealed.study_key.key, 1)
        try:
            return await self._opened(self._key_bucket, key)
        except (BlobMissing, KeyProblem) as loss:
            await self._opened_on_site(key)
            raise Disproved("missing" if isinstance(loss, BlobMissing) else "seal") from loss

    async def is_destroyed(self, record: str) -> bool:
        """Whether a study key's record is neither in the target, in any version, nor on site."""
        key = part_key(record, 1)
        is_missing = await _is_missing(self._key_bucket, key) and await _is_missing(self._key_records, key)
        return is_missing and not await self._is_hidden(key)

    async def _opened_on_site(self, key: str) -> bytes:
        try:
            return await self._opened(self._key_records, key)
        except BlobMissing:
            raise KeyDestroyed from None
        except KeyProblem as problem:
            raise KeysAway(problem.reason) from problem

    async def _opened(self, store: BlobStore, key: str) -> bytes:
        data = await store.get(key)
        return await in_thread(lambda: StudyKeyRecord.parse(data).open(self._keys))


class TargetReading:
    """The copies of one target."""

    def __init__(self, *, target: BlobStore, study_keys: StudyKeys, is_locked: bool = False) -> None:
        self._target = target
        self._study_keys = study_keys
        self._is_locked = is_locked

    async def probe(self) -> None:
        """Returns when the target answers, whatever it says."""
        with suppress(BlobMissing, StoreRefused):
            await self._target.head("probe")

    async def absence(self, copy_key: CopyKey, study_key: str | None) -> Absence | None:
        # A lock keeps bytes behind a mark that says they are deleted: there only the key can prove anything.
        gone = not self._is_locked and await self._has_none(copy_key)
        if gone:
            return "removed"
        return "shredded" if study_key and await self._study_keys.is_destroyed(study_key) else None

    async def _has_none(self, copy_key: CopyKey) -> bool:
        return all([await _is_missing(self._target, key) for key in copy_key.keys])

    async def prove(self, copy: KnownCopy) -> Outcome:
        try:
            return await self._read(copy)
        except Disproved as disproof:
            return disproof.damage

    async def _read(self, copy: KnownCopy) -> Proof:
        proving = Proving(copy.sealed, await self._study_keys.open(copy.sealed))
        for part, key in zip(copy.sealed.parts, copy.copy_key.keys, strict=True):
            await self._read_part(proving, part, key)
        return await in_thread(proving.finish)

    async def _read_part(self, proving: Proving, part: Part, key: str) -> None:
        try:
            await _pour(self._target.stream(key), proving.feed)
        except BlobMissing:
            raise Disproved("missing") from None
        proving.end_part(part)


async def _is_missing(store: BlobStore, key: str) -> bool:
    try:
        await store.head(key)
    except BlobMissing:
        return True
    return False


async def _pour(chunks: AsyncIterator[bytes], feed: Callable[[bytes], None]) -> None:
    """Feed every chunk on a worker thread, in order, while the next one is read."""
    work: asyncio.Task[None] | None = None
    try:
        async for chunk in chunks:
            if work is not None:
                await work
            work = asyncio.create_task(in_thread(feed, chunk))
    finally:
        if work is not None:
            await work
