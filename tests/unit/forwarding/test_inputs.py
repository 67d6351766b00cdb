"""Where the bytes of a batch come from when its landing archive is released and some targets are cut off."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.events import Batch, ProvenCopy
from contracts.formats.manifest import Instance
from services.forwarding.adapters.inputs import SealedCopies, StoredInputs
from services.forwarding.domain.forwards import InputAway, InputMissing
from services.forwarding.ports.content import Source
from shared.errors import RetryLater
from shared.identity import SiteKey
from shared.storage import MemoryStore
from shared.storage.errors import StoreUnavailable
from tests.support.packs import make_file, store_batch

FILE, INSTANCE = make_file(1)


def copy_in(target: str) -> ProvenCopy:
    return ProvenCopy(
        sealed_id=target, pack_id="p", form="identified", target=target, generation=1, proven=datetime.now(UTC)
    )


@dataclass
class Pack:
    """A copy with the one instance; ``breaks`` says at what its target goes away."""

    breaks: str | None = None

    async def instances(self) -> AsyncIterator[Instance]:
        if self.breaks == "looking":
            raise StoreUnavailable
        yield INSTANCE

    async def header(self) -> Any:
        return SimpleNamespace(sections=SimpleNamespace(manifest=0, headers=0))

    async def plaintext(self, begin: int, length: int) -> AsyncIterator[bytes]:
        yield FILE[:10]
        if self.breaks == "reading":
            raise StoreUnavailable
        yield FILE[10:]


class Sealed(SealedCopies):
    """The copies by target: a pack, or what its target says instead."""

    def __init__(self, **packs: Pack | RetryLater) -> None:
        super().__init__(SiteKey(bytes(32)), dict.fromkeys(packs, MemoryStore()), MemoryStore(), None)  # type: ignore[arg-type]  # nothing is opened, so there are no keys
        self.packs = packs
        self.asked: list[str] = []

    async def open(self, copy: ProvenCopy) -> Any:
        self.asked.append(copy.target)
        found = self.packs[copy.target]
        if isinstance(found, RetryLater):
            raise found
        return found


@dataclass
class Archived:
    """Every batch has copies in these targets."""

    targets: Sequence[str]

    async def copies(self, _batch_id: str) -> Sequence[ProvenCopy]:
        return [copy_in(target) for target in self.targets]


async def read(source: Source) -> bytes | type[Exception]:
    try:
        return b"".join([chunk async for chunk in source(0)])
    except (InputMissing, InputAway) as error:
        return type(error)


async def every_source(sealed: Sealed, *targets: str) -> list[bytes | type[Exception]]:
    """What each source of the instance gives, twice the same."""
    landing = MemoryStore()
    batch: Batch = await store_batch(landing, [(FILE, INSTANCE)])
    async for blob in landing.list(batch.archive.key):
        await landing.delete(blob.key)
    contents = await StoredInputs(landing, Archived(targets), sealed).open(batch)
    instance = contents.instances[0]
    first = [await read(source) async for source in contents.sources(instance)]
    assert [await read(source) async for source in contents.sources(instance)] == first
    return first


async def test_a_target_that_is_cut_off_hides_no_other() -> None:
    sealed = Sealed(cloud=StoreUnavailable(), onsite=Pack())
    assert await every_source(sealed, "cloud", "onsite") == [InputMissing, FILE, InputAway]


@pytest.mark.parametrize("when", ["looking", "reading"])
async def test_one_that_goes_away_meanwhile_hides_no_other(when: str) -> None:
    found = await every_source(Sealed(cloud=Pack(when), onsite=Pack()), "cloud", "onsite")
    assert FILE in found and InputAway in found


async def test_the_nearest_is_asked_first_and_one_that_is_named_no_more_never() -> None:
    sealed = Sealed(onsite=Pack(), cloud=Pack())
    assert await every_source(sealed, "gone", "cloud", "onsite") == [InputMissing, FILE, FILE]
    assert sealed.asked == ["onsite", "cloud"]


async def test_without_any_copy_it_is_missing() -> None:
    assert await every_source(Sealed(onsite=Pack())) == [InputMissing]
