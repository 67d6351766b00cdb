"""The plaintext of a pack from one of its copies, for when its plain bytes were released.

A copy counts only when the ciphertext of every part has the digest that its receipt took while sealing; then it is
opened through the one reader of sealed packs, and checked like any other input.
"""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from contracts.formats.errors import KeyProblem
from contracts.formats.keys import KeyEncryptionKeys, StudyKeyRecord
from contracts.formats.unseal import PackReader, Section
from services.encryption.adapters.buffer import SealingBuffer
from services.encryption.adapters.keys import KeysAway
from services.encryption.domain.orders import Receipt, SealOrder
from services.encryption.domain.plaintext import Batch, Pack, assemble
from services.encryption.ports import Inputs
from shared.identity import SiteKey
from shared.messaging.threads import in_thread
from shared.storage import BlobMissing, BlobStore, StoreRefused, StoreUnavailable
from shared.storage.ahead import read_ahead
from shared.storage.parts import part_key
from shared.storage.targets import load_targets, open_key_bucket, open_target

#: After so many generations in a row of which there is no trace, no later one is sought.
GAP = 8


@dataclass(frozen=True)
class Place:
    """A target: its copies, and its key bucket with the marks of those that were removed."""

    copies: BlobStore
    keys: BlobStore


@dataclass(frozen=True)
class Copy:
    """One generation of one copy in a target."""

    store: BlobStore
    folder: str
    receipt: Receipt

    def key(self, number: int) -> str:
        """The key of a part."""
        return part_key(self.folder, number)

    async def is_sound(self) -> bool:
        """Whether every part is there and is what was sealed."""
        try:
            return all([await self._digest(part.number) == part.sha256 for part in self.receipt.sealed.parts])
        except BlobMissing:
            return False

    async def _digest(self, number: int) -> str:
        state = hashlib.sha256()
        async for chunk in self.store.stream(self.key(number)):
            state.update(chunk)
        return state.hexdigest()


def target_places(path: Path | None) -> tuple[Place, ...]:
    """The targets that ``path`` names, to be read; none without it."""
    targets = load_targets(path).values() if path else ()
    return tuple(Place(open_target(target), open_key_bucket(target)) for target in targets)


class CopiedInputs:
    """Opens a pack from any copy of it, under whichever key domain."""

    def __init__(
        self,
        *,
        site_key: SiteKey,
        buffer: SealingBuffer,
        targets: Iterable[Place],
        key_records: BlobStore,
        keys: KeyEncryptionKeys,
    ) -> None:
        self._site_key = site_key
        self._buffer = buffer
        self._targets = tuple(targets)
        self._key_records = key_records
        self._keys = keys

    async def open(self, order: SealOrder) -> Pack:
        """The pack; BlobMissing when no copy is found, StoreUnavailable when it may be where nobody answers."""
        away: StoreUnavailable | StoreRefused | None = None
        receipts = await self._buffer.sealings(order.pack_id)
        for receipt, place in itertools.product(receipts, self._targets):
            try:
                async for copy in self._generations(place, receipt):
                    if await copy.is_sound():
                        return await self._pack(copy)
            except (StoreUnavailable, StoreRefused) as error:
                away = error
        raise away or BlobMissing(order.pack_id)

    async def _generations(self, place: Place, receipt: Receipt) -> AsyncIterator[Copy]:
        """Every generation that a target has, however many there were before."""
        sealed, absent = receipt.sealed, 0
        for generation in itertools.count(1):
            folder = self._site_key.storage_key(sealed.form, sealed.sealed_id, "copy", generation)
            if there := await _holds(place.copies, part_key(folder, 1)):
                yield Copy(place.copies, folder, receipt)
            # The mark that replication leaves of a generation which it removed.
            absent = 0 if there or await _holds(place.keys, f"removed/{folder}") else absent + 1
            if absent == GAP:
                return

    async def _pack(self, copy: Copy) -> Pack:
        sealed = copy.receipt.sealed
        reader = PackReader(
            lambda number, start, length: copy.store.get(copy.key(number), start, length),
            [(part.number, part.size) for part in sealed.parts],
            self._key_record,
            self._keys,
        )
        try:
            manifest = await reader.manifest()
        except KeyProblem as problem:
            raise KeysAway(problem.reason) from problem
        batch = Batch(
            manifest=manifest,
            headers=_opener(reader, "headers"),
            headers_size=sealed.sections.headers,
            headers_sha256=None,
            archive=_opener(reader, "archive"),
        )
        return await in_thread(assemble, sealed.pack_id, [batch])

    async def _key_record(self, study_key_id: str) -> StudyKeyRecord:
        return StudyKeyRecord.parse(await self._key_records.get(part_key(f"study-keys/{study_key_id}", 1)))


async def _holds(store: BlobStore, key: str) -> bool:
    try:
        await store.head(key)
    except BlobMissing:
        return False
    return True


def _opener(reader: PackReader, section: Section) -> Callable[[], Iterator[bytes]]:
    loop = asyncio.get_running_loop()

    def chunks() -> AsyncIterator[bytes]:
        return reader.section(section)

    return lambda: read_ahead(chunks(), loop)


class ResolvedInputs:
    """Plain bytes while they are there, else a copy (design: inputs are resolved in this order)."""

    def __init__(self, *, stored: Inputs, copied: Inputs) -> None:
        self._stored = stored
        self._copied = copied

    async def open(self, order: SealOrder) -> Pack:
        try:
            return await self._stored.open(order)
        except BlobMissing:
            return await self._copied.open(order)
