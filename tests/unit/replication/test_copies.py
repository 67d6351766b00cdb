"""The port ``Copies``: the target in stores and the fake in memory behave alike, and what only bytes can show."""

import asyncio

import pytest

from contracts.events import CopyKey
from services.replication.adapters.budget import Budget, SharedBudget
from services.replication.adapters.copies import Limits, TargetCopies
from services.replication.adapters.sources import Place, Sources
from services.replication.domain import SourceAway, SourceLost, TierUnknown, Write, copy_key
from services.replication.ports import Copies
from shared.storage import BlobMissing, BlobStore, MemoryStore, StoreUnavailable
from tests.support.packs import copies
from tests.unit.replication.samples import CONTENTS, RECORD, SITE_KEY, RememberedCopies, sealed


class Recorded(MemoryStore):
    """A store that notes what is asked of it, in ``notes`` shared with others, and holds on to nobody's bytes."""

    def __init__(self, name: str, notes: list[str], away: bool = False) -> None:
        super().__init__()
        self.name, self.notes, self.away = name, notes, away

    async def put(self, key, data, *, sha256=None) -> None:  # type: ignore[no-untyped-def]
        self.notes.append(f"put {self.name}")
        await super().put(key, bytes(bytearray(data)), sha256=sha256)

    async def get(self, key, start=0, length=None) -> bytes:  # type: ignore[no-untyped-def]
        if self.away:
            raise StoreUnavailable
        self.notes.append(f"get {self.name}")
        return bytes(bytearray(await super().get(key, start, length)))


class Site:
    """A target with its sources, all in memory."""

    def __init__(self, budget: int = 1000) -> None:
        self.notes: list[str] = []
        self.target, self.keys, self.records = (Recorded(n, self.notes) for n in ("target", "keys", "records"))
        self.buffer, self.other = Recorded("buffer", self.notes), Recorded("other", self.notes)
        self.other_keys = MemoryStore()
        forms = ("identified",)
        places = {"a": Place(self.target, self.keys, forms), "other": Place(self.other, self.other_keys, forms)}
        self.copies = TargetCopies(
            site_key=SITE_KEY,
            tiers={"hot": self.target, "cold": self.target},
            key_bucket=self.keys,
            key_records=self.records,
            sources=Sources(SITE_KEY, self.buffer, places),
            limits=Limits("a", asyncio.Semaphore(2), Budget(budget), SharedBudget(budget)),
        )

    async def fill(self, store: BlobStore, keys: dict[int, str]) -> None:
        for number, key in keys.items():
            await store.put(key, CONTENTS[number])

    async def ready(self) -> "Site":
        await self.records.put("study-keys/one/0001", RECORD)
        await self.fill(self.buffer, {number: f"buffer/{number}" for number in CONTENTS})
        self.notes.clear()
        return self


def key(target: str = "a", generation: int = 1) -> CopyKey:
    return copy_key(SITE_KEY, sealed(), copies(target)[0], generation)


def write(generation: int = 1, *sources: CopyKey) -> Write:
    return Write(sealed(), key(generation=generation), sources)


@pytest.fixture(params=["stores", "memory"])
async def any_copies(request: pytest.FixtureRequest) -> Copies:
    """The real adapter and the fake."""
    return (await Site().ready()).copies if request.param == "stores" else RememberedCopies()


@pytest.mark.parametrize("generation", [1, 3])
async def test_what_was_not_removed_is_kept_whether_it_is_there_or_not(any_copies: Copies, generation: int) -> None:
    assert await any_copies.first_kept(sealed(), generation) == generation
    assert not await any_copies.begun(key(generation=generation))
    for _ in range(2):
        await any_copies.write(write(generation))
    assert await any_copies.first_kept(sealed(), generation) == generation
    assert await any_copies.begun(key(generation=generation))


async def test_after_removal_the_next_generation_is_the_first_that_is_kept(any_copies: Copies) -> None:
    await any_copies.write(write())
    await any_copies.write(write(2))
    for _ in range(2):
        await any_copies.remove(key())
    assert await any_copies.removed(key())
    assert not await any_copies.removed(key(generation=2))
    assert not await any_copies.begun(key())
    assert await any_copies.first_kept(sealed(), 1) == 2


async def test_the_key_record_goes_before_the_first_part() -> None:
    """A copy without its key beside it is of no use when the site is lost."""
    site = await Site().ready()
    await site.copies.write(write())
    puts = [note for note in site.notes if note.startswith("put")]
    assert puts == ["put keys"] + ["put target"] * 3
    assert await site.keys.get("study-keys/one/0001") == RECORD
    assert [await site.target.get(each) for each in key().keys] == list(CONTENTS.values())


async def test_a_resume_reads_and_puts_only_what_is_missing() -> None:
    site = await Site().ready()
    await site.fill(site.target, {1: key().keys[0], 3: key().keys[2]})
    site.notes.clear()
    await site.copies.write(write())
    assert site.notes.count("get buffer") == site.notes.count("put target") == 1


async def test_a_damaged_part_is_taken_from_the_next_source() -> None:
    site = await Site().ready()
    await site.buffer.delete("buffer/2")
    await site.buffer.put("buffer/2", b"B" * 50)
    await site.fill(site.other, {number: key("other").keys[number - 1] for number in CONTENTS})
    await site.copies.write(write(1, key("other")))
    assert await site.target.get(key().keys[1]) == CONTENTS[2]


@pytest.mark.parametrize(("damaged", "reason"), [(True, "source-damaged"), (False, "source-missing")])
async def test_without_a_sound_source_nothing_is_written_of_the_part(damaged: bool, reason: str) -> None:
    site = await Site().ready()
    await site.buffer.delete("buffer/2")
    if damaged:
        await site.buffer.put("buffer/2", b"B" * 50)
    with pytest.raises(SourceLost) as error:
        await site.copies.write(write(1, key("other")))
    assert error.value.reason == reason
    with pytest.raises(BlobMissing):
        await site.target.head(key().keys[1])


async def test_a_source_that_does_not_answer_is_asked_again_later() -> None:
    site = await Site().ready()
    await site.buffer.delete("buffer/2")
    site.other.away = True
    with pytest.raises(SourceAway):
        await site.copies.write(write(1, key("other")))


async def test_a_tier_that_the_target_has_not_is_refused() -> None:
    site = await Site().ready()
    ice = Write(sealed(), key().model_copy(update={"tier": "ice"}))
    with pytest.raises(TierUnknown):
        await site.copies.write(ice)


async def test_a_removed_generation_leaves_its_mark_outside_the_data() -> None:
    site = await Site().ready()
    await site.copies.write(write())
    await site.copies.remove(key())
    assert [blob async for blob in site.target.list("")] == []
    assert [blob.key async for blob in site.keys.list("removed")] == [f"removed/{key().keys[0].rsplit('/', 1)[0]}"]


async def test_a_plan_for_this_target_alone_finds_the_copies_of_others() -> None:
    """The sealing buffer is released, and no event says where else the pack lies: keys follow from the pack."""
    site = await Site().ready()
    await _release(site)
    await site.fill(site.other, dict(zip(CONTENTS, key("other").keys, strict=True)))
    await site.copies.write(write())
    assert [await site.target.get(each) for each in key().keys] == list(CONTENTS.values())


async def test_a_copy_is_found_in_whatever_generation_it_is() -> None:
    """Twelve were removed; there are marks of them, and nothing else."""
    site = await Site().ready()
    await _release(site)
    for generation in range(1, 13):
        folder = key("other", generation).keys[0].rsplit("/", 1)[0]
        await site.other_keys.put(f"removed/{folder}", b"")
    await site.fill(site.other, dict(zip(CONTENTS, key("other", 13).keys, strict=True)))
    await site.copies.write(write())
    assert await site.target.get(key().keys[2]) == CONTENTS[3]


async def test_a_copy_in_another_tier_is_made_of_the_one_that_is_there() -> None:
    """When it is the only one that is left."""
    site = await Site().ready()
    await site.copies.write(write())
    await _release(site)
    cold = key(generation=2).model_copy(update={"tier": "cold"})
    await site.copies.write(Write(sealed(), cold))
    assert [await site.target.get(each) for each in cold.keys] == list(CONTENTS.values())


async def test_targets_that_do_not_allow_the_form_are_not_asked() -> None:
    site = await Site().ready()
    await _release(site)
    site.other.away = True
    deidentified = sealed("deidentified")
    with pytest.raises(SourceLost):
        await site.copies.write(Write(deidentified, copy_key(SITE_KEY, deidentified, copies("a")[0], 1)))


async def _release(site: Site) -> None:
    for number in CONTENTS:
        await site.buffer.delete(f"buffer/{number}")


async def test_a_key_record_that_was_lost_is_put_again_when_something_is_wrong() -> None:
    """What this process remembers of it counts only while nothing is."""
    site = await Site().ready()
    await site.copies.write(write())
    await site.keys.delete("study-keys/one/0001")
    await site.copies.write(write())
    with pytest.raises(BlobMissing):
        await site.keys.head("study-keys/one/0001")
    await site.copies.write(Write(sealed(), key(generation=2), doubted=True))
    assert await site.keys.get("study-keys/one/0001") == RECORD


async def test_a_key_record_that_was_damaged_is_replaced_by_the_one_on_site() -> None:
    """Also by a process that has not seen it before: else nothing of the study could ever be written there."""
    site = await Site().ready()
    await site.keys.put("study-keys/one/0001", b"a flipped key")
    await site.copies.write(write())
    assert await site.keys.get("study-keys/one/0001") == RECORD


async def test_a_damaged_record_on_site_replaces_no_other() -> None:
    site = await Site().ready()
    await site.keys.put("study-keys/one/0001", RECORD)
    await site.records.delete("study-keys/one/0001")
    await site.records.put("study-keys/one/0001", b"a flipped key"[: len(RECORD)])
    with pytest.raises(SourceLost):
        await site.copies.write(write())
    assert await site.keys.get("study-keys/one/0001") == RECORD
