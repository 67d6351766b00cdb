"""Study keys: their records in the key store, wrapped under the key-encryption key of their domain."""

import hashlib

from contracts.events import Blob
from contracts.formats.errors import KeyProblem
from contracts.formats.keys import FileKeyEncryptionKeys, KeyEncryptionKeys, StudyKeyRecord, new_study_key
from shared.errors import RetryLater
from shared.messaging.threads import in_thread
from shared.storage import BlobExists, BlobMissing, BlobStore
from shared.storage.parts import part_key


class KeysAway(RetryLater):
    """The key-encryption key cannot be used now; an operator has to put it back. ``reason`` is the format's."""


class DomainKeys(FileKeyEncryptionKeys):
    """Key-encryption keys in files; a domain that has none gets one with its first study key."""

    def wrap(self, domain: str, key: bytes) -> tuple[str, bytes]:
        self.create(domain)
        return super().wrap(domain, key)


class StoredStudyKeys:
    """One record for each study key, created once and never changed here."""

    def __init__(self, store: BlobStore, keys: KeyEncryptionKeys) -> None:
        self._store = store
        self._keys = keys

    async def obtain(self, study_key_id: str, domain: str) -> tuple[Blob, bytes]:
        key = f"study-keys/{study_key_id}"
        try:
            data = await self._record(key, study_key_id, domain)
            return _blob(key, data), await in_thread(lambda: StudyKeyRecord.parse(data).open(self._keys))
        except KeyProblem as problem:
            raise KeysAway(problem.reason) from problem

    async def _record(self, key: str, study_key_id: str, domain: str) -> bytes:
        try:
            return await self._store.get(part_key(key, 1))
        except BlobMissing:
            record, _ = await in_thread(new_study_key, study_key_id, domain, self._keys)
        try:
            await self._store.put(part_key(key, 1), record.to_bytes())
        except BlobExists:  # another process made it meanwhile, and its key is the one
            return await self._store.get(part_key(key, 1))
        return record.to_bytes()


def _blob(key: str, data: bytes) -> Blob:
    return Blob(store="keys", key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())
