"""Originals: from the landing store while they are there, else from a proven identified copy."""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import tee
from pathlib import Path
from typing import Protocol

from contracts.events import Batch, CopyKey, PackPlanned
from contracts.formats.errors import FormatError
from contracts.formats.keys import KeyEncryptionKeys, StudyKeyRecord
from contracts.formats.left_out import read_numbers
from contracts.formats.manifest import Instance, open_manifest, place
from contracts.formats.unseal import PackReader
from services.deid.domain.packing import InputDamaged, Opener, Original
from shared.errors import RetryLater, Unprocessable
from shared.messaging.threads import in_thread
from shared.storage import BlobMissing, BlobStore, read_parts
from shared.storage.ahead import read_ahead
from shared.storage.parts import part_key
from shared.storage.targets import load_targets, open_target


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

    @classmethod
    def of(cls, targets_file: Path, key_records: BlobStore, keys: KeyEncryptionKeys) -> "SealedCopies":
        """The same for the targets of a site."""
        targets = {name: open_target(target) for name, target in load_targets(targets_file).items()}
        return cls(targets, key_records, keys)

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

    async def originals(self, event: PackPlanned) -> Iterable[Original]:
        loop = asyncio.get_running_loop()
        readers, away = await self._readers(event.pack_id)
        if await self._has_manifests(event, loop):
            return self._landed(event, readers, away, loop)
        if not readers:
            raise away or InputDamaged()
        return _sealed(await _sound(readers), readers, away, loop)

    async def _has_manifests(self, event: PackPlanned, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether every batch's manifest is there and is what the event says."""
        try:
            for batch in event.batches:
                await in_thread(_check, self._manifest(batch, loop), batch.manifest.sha256)
        except (InputDamaged, BlobMissing, FormatError):
            return False
        return True

    def _manifest(self, batch: Batch, loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
        return read_ahead(read_parts(self._landing, batch.manifest.key, batch.manifest.size), loop)

    def _landed(
        self,
        event: PackPlanned,
        readers: Sequence[PackReader],
        away: RetryLater | None,
        loop: asyncio.AbstractEventLoop,
    ) -> Iterator[Original]:
        """The instances of all batches; in copies of the pack each lies where the merged archive has it."""
        here, there = tee(self._contents(event, loop))
        for (batch, one), packed in zip(here, place(one for _, one in there), strict=True):
            yield Original(one, (self._from_landing(batch, one, loop), *_from_copies(readers, away, packed, loop)))

    def _contents(self, event: PackPlanned, loop: asyncio.AbstractEventLoop) -> Iterator[tuple[Batch, Instance]]:
        """What the pack takes of each batch."""
        for batch, left_out in event.contents:
            numbers = read_numbers(left_out)
            for number, one in enumerate(open_manifest(self._manifest(batch, loop))[1], start=1):
                if number not in numbers:
                    yield batch, one

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


def _check(chunks: Iterable[bytes], sha256: str | None) -> None:
    """Read a manifest through; InputDamaged or ManifestBroken when it is not what it should be."""
    digest = hashlib.sha256()

    def passing() -> Iterator[bytes]:
        for chunk in chunks:
            digest.update(chunk)
            yield chunk

    for _ in open_manifest(passing())[1]:
        pass
    if sha256 and digest.hexdigest() != sha256:
        raise InputDamaged


async def _sound(readers: Iterable[PackReader]) -> PackReader:
    """The first copy whose manifest can be read through."""
    for reader in readers:
        with suppress(FormatError, Unprocessable):
            async for _ in reader.instances():
                pass
            return reader
    raise InputDamaged


def _sealed(
    reader: PackReader, readers: Sequence[PackReader], away: RetryLater | None, loop: asyncio.AbstractEventLoop
) -> Iterator[Original]:
    """The instances as the manifest of a copy has them."""
    for one in open_manifest(read_ahead(reader.section("manifest"), loop))[1]:
        yield Original(one, _from_copies(readers, away, one, loop))


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
