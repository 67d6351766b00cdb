"""Originals: from the landing store while they are there, else from a proven identified copy."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from contracts.events import Batch, CopyKey, PackPlanned
from contracts.formats.errors import FormatError
from contracts.formats.keys import KeyEncryptionKeys, StudyKeyRecord
from contracts.formats.manifest import Instance, Manifest, merge, read_manifest
from contracts.formats.unseal import PackReader
from services.deid.domain.packing import InputDamaged, Opener, Original
from shared.errors import RetryLater, Unprocessable
from shared.storage import BlobMissing, BlobStore, read_parts
from shared.storage.ahead import read_ahead
from shared.storage.parts import part_key


class ProvenCopies(Protocol):
    """Where proven copies lie."""

    async def proven_copies(self, pack_id: str) -> Sequence[CopyKey]:
        """The proven identified copies of a pack."""


class SealedCopies:
    """Reads packs from targets; ``key_records`` is the on-site store of study keys."""

    def __init__(self, targets: Mapping[str, BlobStore], key_records: BlobStore, keys: KeyEncryptionKeys) -> None:
        self._targets = targets
        self._key_records = key_records
        self._keys = keys

    async def open(self, copy: CopyKey) -> PackReader:
        """A reader of ``copy``; BlobMissing without a part, KeyError for a target that is not configured."""
        store = self._targets[copy.target]
        parts = [(number, (await store.head(key)).size) for number, key in enumerate(copy.keys, start=1)]

        async def read(number: int, start: int, length: int) -> bytes:
            return await store.get(copy.keys[number - 1], start, length)

        return PackReader(read, parts, self._record, self._keys)

    async def _record(self, study_key_id: str) -> StudyKeyRecord:
        return StudyKeyRecord.parse(await self._key_records.get(part_key(f"study-keys/{study_key_id}", 1)))


class StoredInputs:
    """Finds the originals of a plan."""

    def __init__(self, landing: BlobStore, copies: ProvenCopies, sealed: SealedCopies) -> None:
        self._landing = landing
        self._copies = copies
        self._sealed = sealed

    async def originals(self, event: PackPlanned) -> Sequence[Original]:
        loop = asyncio.get_running_loop()
        readers, away = await self._readers(event.pack_id)
        manifests = await self._manifests(event, readers, away)
        if manifests is None:
            merged = await self._sealed_manifest(readers)
            return [Original(one, _from_copies(readers, away, one, loop)) for one in merged.instances]
        landed = [
            (batch, one) for batch, manifest in zip(event.batches, manifests, strict=True) for one in manifest.instances
        ]
        packed = merge(manifests, event.pack_id).instances
        return [
            Original(one, (self._from_landing(batch, one, loop), *_from_copies(readers, away, sealed, loop)))
            for (batch, one), sealed in zip(landed, packed, strict=True)
        ]

    async def _manifests(
        self, event: PackPlanned, readers: Sequence[PackReader], away: RetryLater | None
    ) -> list[Manifest] | None:
        """The batches' manifests; None when one is lost and a copy can take their place."""
        try:
            return [await self._manifest(batch) for batch in event.batches]
        except (InputDamaged, BlobMissing, FormatError):
            if readers:
                return None
            raise away or InputDamaged() from None

    async def _manifest(self, batch: Batch) -> Manifest:
        blob = batch.manifest
        data = b"".join([chunk async for chunk in read_parts(self._landing, blob.key, blob.size)])
        if blob.sha256 and hashlib.sha256(data).hexdigest() != blob.sha256:
            raise InputDamaged
        return read_manifest([data])

    async def _sealed_manifest(self, readers: Sequence[PackReader]) -> Manifest:
        for reader in readers:
            with suppress(FormatError, Unprocessable):
                return await reader.manifest()
        raise InputDamaged

    async def _readers(self, pack_id: str) -> tuple[list[PackReader], RetryLater | None]:
        """Readers of the copies that answer now, and the trouble of one that does not, if any."""
        readers: list[PackReader] = []
        trouble: RetryLater | None = None
        for copy in await self._copies.proven_copies(pack_id):
            try:
                readers.append(await self._sealed.open(copy))
            except RetryLater as away:
                trouble = away
            except (Unprocessable, KeyError):
                continue
        return readers, trouble

    def _from_landing(self, batch: Batch, one: Instance, loop: asyncio.AbstractEventLoop) -> Opener:
        blob = batch.archive
        return lambda: read_ahead(read_parts(self._landing, blob.key, blob.size, one.offset, one.length), loop)


def _from_copies(
    readers: Sequence[PackReader], away: RetryLater | None, one: Instance, loop: asyncio.AbstractEventLoop
) -> tuple[Opener, ...]:
    """The copies that can be read; last, when another is only away, a source that says so: then it is worth a wait."""
    openers = [_opener(reader, one, loop) for reader in readers]
    return (*openers, _refusal(away)) if away else tuple(openers)


def _opener(reader: PackReader, one: Instance, loop: asyncio.AbstractEventLoop) -> Opener:
    return lambda: read_ahead(reader.instance(one), loop)


def _refusal(away: RetryLater) -> Opener:
    def refuse() -> Iterable[bytes]:
        raise away

    return refuse
