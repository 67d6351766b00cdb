"""What arrived: from the landing store while it is there, else from a proven identified copy."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from contracts.events import Batch, ProvenCopy
from contracts.formats.digests import FileDigests
from contracts.formats.errors import FormatError
from contracts.formats.keys import KeyEncryptionKeys, StudyKeyRecord
from contracts.formats.manifest import Instance, read_manifest
from contracts.formats.unseal import PackReader
from services.forwarding.domain.forwards import InputAway, InputDamaged, InputMissing, key_of
from services.forwarding.ports.content import Source
from shared.errors import RetryLater
from shared.identity import SiteKey
from shared.messaging.threads import in_thread
from shared.storage import BlobMissing, BlobStore
from shared.storage.parts import part_key, read_parts

#: After so many generations in a row of which there is no trace, no later one is sought.
GAP = 8
#: Bytes that are hashed on a thread: less is done sooner than handed over.
_LARGE = 64 * 1024


class Whereabouts(Protocol):
    """What was said of batches that are archived."""

    async def copies(self, batch_id: str) -> Sequence[ProvenCopy]:
        """The identified copies that were proven then; none while the landing archive is there."""


class SealedCopies:
    """Reads packs from targets, the nearest named first; ``key_records`` is the on-site store of study keys."""

    def __init__(
        self, site_key: SiteKey, targets: Mapping[str, BlobStore], key_records: BlobStore, keys: KeyEncryptionKeys
    ) -> None:
        self._site_key = site_key
        self._targets = targets
        self._key_records = key_records
        self._keys = keys

    def by_nearness(self, copies: Iterable[ProvenCopy]) -> Sequence[ProvenCopy]:
        """The copies in the order in which they are worth asking; without those of targets that are named no more."""
        order = {name: place for place, name in enumerate(self._targets)}
        return sorted((copy for copy in copies if copy.target in order), key=lambda copy: order[copy.target])

    async def open(self, copy: ProvenCopy) -> PackReader | None:
        """A reader of the copy, in the generation that is named or the next one that is there; None without any."""
        store = self._targets.get(copy.target)
        for generation in range(copy.generation, copy.generation + GAP) if store else ():
            folder = self._site_key.storage_key(copy.form, copy.sealed_id, "copy", generation)
            found = sorted([(blob.key, blob.size) async for blob in store.list(folder)]) if store else []
            if store and found:
                return self._reader(store, found)
        return None

    def _reader(self, store: BlobStore, parts: Sequence[tuple[str, int]]) -> PackReader:
        async def read(number: int, start: int, length: int) -> bytes:
            return await store.get(parts[number - 1][0], start, length)

        sizes = [(number, size) for number, (_, size) in enumerate(parts, start=1)]
        return PackReader(read, sizes, self._record, self._keys)

    async def _record(self, study_key_id: str) -> StudyKeyRecord:
        return StudyKeyRecord.parse(await self._key_records.get(part_key(f"study-keys/{study_key_id}", 1)))


class StoredInputs:
    """Opens landed batches."""

    def __init__(self, landing: BlobStore, whereabouts: Whereabouts, sealed: SealedCopies) -> None:
        self._landing = landing
        self._whereabouts = whereabouts
        self._sealed = sealed

    async def open(self, batch: Batch) -> "StoredBatch":
        """The contents by the manifest, which stays in the landing store; a batch has 512 instances at most."""
        blob = batch.manifest
        try:
            text = b"".join([chunk async for chunk in read_parts(self._landing, blob.key, blob.size)])
        except BlobMissing:
            raise InputMissing from None
        if blob.sha256 and hashlib.sha256(text).hexdigest() != blob.sha256:
            raise InputDamaged
        manifest = await in_thread(read_manifest, [text])
        source_ae = manifest.source.calling_ae if manifest.source else None
        return StoredBatch(batch, source_ae, manifest.instances, self._landing, self._copies(batch.batch_id))

    async def _copies(self, batch_id: str) -> AsyncIterator[PackReader | None]:
        """The copies that are there, None for each whose target is away."""
        for copy in self._sealed.by_nearness(await self._whereabouts.copies(batch_id)):
            try:
                reader = await self._sealed.open(copy)
            except RetryLater:
                yield None
            else:
                if reader is not None:
                    yield reader


@dataclass
class StoredBatch:
    """A batch, and where the files of its instances are."""

    batch: Batch
    source_ae: str | None
    instances: Sequence[Instance]
    landing: BlobStore
    readers: AsyncIterator[PackReader | None]

    def __post_init__(self) -> None:
        self._packs: list[tuple[PackReader, Mapping[str, Instance]]] = []
        self._is_any_away = False

    async def sources(self, instance: Instance) -> AsyncIterator[Source]:
        """The landing archive, then every copy that can be reached; last, where there are others, one that cannot.

        Of those that are found no second time is asked for.
        """
        yield self._landed(instance)
        position = 0
        while position < len(self._packs) or await self._another():
            reader, packed = self._packs[position]
            position += 1
            if found := packed.get(key_of(instance)):
                yield _sealed(reader, found)
        if self._is_any_away:
            yield lambda _start: _away()

    async def _another(self) -> bool:
        async for reader in self.readers:
            found = None if reader is None else await _find(reader, self.instances)
            if reader is not None and found is not None:
                self._packs.append((reader, found))
                return True
            self._is_any_away = True
        return False

    def _landed(self, instance: Instance) -> Source:
        blob = self.batch.archive

        def read(start: int) -> AsyncIterator[bytes]:
            chunks = read_parts(self.landing, blob.key, blob.size, instance.offset + start, instance.length - start)
            return _checked(chunks, instance, start)

        return read


async def _find(reader: PackReader, wanted: Iterable[Instance]) -> Mapping[str, Instance] | None:
    """Where a pack has the wanted instances; nothing when it cannot be read, None when its target is away."""
    keys = {key_of(one) for one in wanted}
    try:
        return {key_of(one): one async for one in reader.instances() if key_of(one) in keys}
    except (FormatError, BlobMissing):
        return {}
    except RetryLater:
        return None


async def _away() -> AsyncIterator[bytes]:
    """A copy of which nobody knows what it holds."""
    raise InputAway
    yield b""


def _sealed(reader: PackReader, instance: Instance) -> Source:
    async def chunks(start: int) -> AsyncIterator[bytes]:
        try:
            sections = (await reader.header()).sections
            begin = sections.manifest + sections.headers + instance.offset + start
            async for piece in reader.plaintext(begin, instance.length - start):
                yield piece
        except RetryLater:
            raise InputAway from None

    return lambda start: _checked(chunks(start), instance, start)


async def _checked(chunks: AsyncIterator[bytes], instance: Instance, start: int) -> AsyncIterator[bytes]:
    """The chunks, the last one only when all of them together are what was received."""
    digests, held = FileDigests(instance, start), b""
    try:
        async for chunk in chunks:
            if held:
                yield held
            held = chunk
            await in_thread(digests.update, chunk) if len(chunk) > _LARGE else digests.update(chunk)
    except BlobMissing:
        raise InputMissing from None
    except FormatError:
        raise InputDamaged from None
    if not digests.match():
        raise InputDamaged
    yield held
