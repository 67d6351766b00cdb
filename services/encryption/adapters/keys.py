"""Study keys: their records in the key store, wrapped under the key-encryption key of their domain."""

import hashlib
from contextlib import suppress
from typing import Protocol

from contracts.events import Blob
from contracts.formats.errors import KeyMissing, KeyProblem
from contracts.formats.keys import KeyEncryptionKeys, StudyKeyRecord, new_study_key
from shared.errors import AlreadyDone, RetryLater
from shared.messaging.threads import in_thread
from shared.storage import BlobExists, BlobMissing, BlobStore
from shared.storage.parts import part_key

_MARK = b'{"format":"causeway.key-domain/1"}'
_DESTROYED = b'{"format":"causeway.destroyed-key/1"}'


class KeysAway(RetryLater):
    """The key-encryption key cannot be used now; an operator has to put it back. ``reason`` is the format's."""


class StudyKeyDestroyed(AlreadyDone):
    """The study key was destroyed, for its packs were called back: nothing is sealed under it any more."""

    def __init__(self) -> None:
        super().__init__("study-key-destroyed")


class OwnKeys(KeyEncryptionKeys, Protocol):
    """Key-encryption keys that this service may make."""

    def create(self, domain: str) -> str:
        """Make the domain's key unless there is one, durable on return; its id."""


class StoredStudyKeys:
    """One record for each study key, created once and never changed here.

    ``key-domains/<domain>`` marks a domain whose key was in use: should its file be gone, it is lost, not new.
    """

    def __init__(self, store: BlobStore, keys: OwnKeys) -> None:
        self._store = store
        self._keys = keys
        self._marked: set[str] = set()

    async def obtain(self, study_key_id: str, domain: str) -> tuple[Blob, bytes]:
        key = f"study-keys/{study_key_id}"
        try:
            data = await self._record(key, study_key_id, domain)
            return _blob(key, data), await in_thread(lambda: StudyKeyRecord.parse(data).open(self._keys))
        except KeyProblem as problem:
            raise KeysAway(problem.reason) from problem
        except OSError:
            raise KeysAway("kek-unwritable") from None

    async def destroy(self, study_key_id: str) -> str:
        """Delete a study key's record for good, and let none take its place; where it was. A repeat finds it gone.

        What is left of it lies in the key buckets of targets, which belong to replication.
        """
        key = f"study-keys/{study_key_id}"
        with suppress(BlobExists):
            await self._store.put(f"destroyed/{study_key_id}", _DESTROYED)
        with suppress(BlobMissing):
            await self._store.delete(part_key(key, 1))
        return key

    async def _is_destroyed(self, study_key_id: str) -> bool:
        try:
            await self._store.head(f"destroyed/{study_key_id}")
        except BlobMissing:
            return False
        return True

    async def _record(self, key: str, study_key_id: str, domain: str) -> bytes:
        try:
            return await self._store.get(part_key(key, 1))
        except BlobMissing:
            if await self._is_destroyed(study_key_id):
                raise StudyKeyDestroyed from None
            record = await self._new(study_key_id, domain)
        try:
            await self._store.put(part_key(key, 1), record.to_bytes())
        except BlobExists:  # another process made it meanwhile, and its key is the one
            return await self._store.get(part_key(key, 1))
        return record.to_bytes()

    async def _new(self, study_key_id: str, domain: str) -> StudyKeyRecord:
        try:
            record, _ = await in_thread(new_study_key, study_key_id, domain, self._keys)
        except KeyMissing:
            await self._create(domain)
            record, _ = await in_thread(new_study_key, study_key_id, domain, self._keys)
        if domain not in self._marked:
            await self._store.put(f"key-domains/{domain}", _MARK)
            self._marked.add(domain)
        return record

    async def _create(self, domain: str) -> None:
        """A domain's first key. What was sealed under a lost one opens with a backup of it and nothing else."""
        with suppress(BlobMissing):
            await self._store.head(f"key-domains/{domain}")
            raise KeysAway("kek-lost")
        await in_thread(self._keys.create, domain)


def _blob(key: str, data: bytes) -> Blob:
    return Blob(store="keys", key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())
