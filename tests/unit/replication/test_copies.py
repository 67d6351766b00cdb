"""The port ``Copies``: the target in stores and the fake in memory behave alike, and what only bytes can show."""

import asyncio
from collections.abc import Iterator

import pytest

from contracts.events import CopyKey
from services.replication.adapters import Budget, Limits, Sources, TargetCopies
from services.replication.domain import SourceAway, SourceLost, TierUnknown, Write, copy_key
from services.replication.ports import Copies
from shared.storage import BlobMissing, BlobStore, MemoryStore, StoreUnavailable
from tests.support.packs import copies
from tests.unit.replication.samples import CONTENTS, RECORD, SITE_KEY, RememberedCopies, sealed


class Recorded(MemoryStore):
    """A store that notes what is asked of it, in ``notes`` shared with others."""

    def __init__(self, name: str, notes: list[str], away: bool = False) -> None:
        super().__init__()
        self.name, self.notes, self.away = name, notes, away

    async def put(self, key, data, *, sha256=None) -> None:  # type: ignore[no-untyped-def]
        self.notes.append(f"put {self.name}")
        await super().put(key, data, sha256=sha256)

    async def get(self, key, start=0, length=None) -> bytes:  # type: ignore[no-untyped-def]
        if self.away:
            raise StoreUnavailable
        self.notes.append(f"get {self.name}")
        return await super().get(key, start, length)


class Place:
    """A target with its sources, all in memory."""

    def __init__(self, budget: int = 1000) -> None:
        self.notes: list[str] = []
        self.target, self.keys, self.records = (Recorded(n, self.notes) for n in ("target", "keys", "records"))
        self.buffer, self.other = Recorded("buffer", self.notes), Recorded("other", self.notes)
        self.copies = TargetCopies(
            site_key=SITE_KEY,
            tiers={"hot": self.target},
            key_bucket=self.keys,
            key_records=self.records,
            sources=Sources(self.buffer, {"other": self.other}),
            limits=Limits(asyncio.Semaphore(2), Budget(budget), Budget(budget)),
        )

    async def fill(self, store: BlobStore, keys: dict[int, str]) -> None:
        for number, key in keys.items():
            await store.put(key, CONTENTS[number])

    async def ready(self) -> "Place":
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
    return (await Place().ready()).copies if request.param == "stores" else RememberedCopies()


async def test_a_new_copy_is_the_first_generation(any_copies: Copies) -> None:
    assert await any_copies.generation(sealed()) == 1


async def test_a_written_copy_stays_the_first_generation(any_copies: Copies) -> None:
    await any_copies.write(write())
    await any_copies.write(write())
    assert await any_copies.generation(sealed()) == 1


async def test_after_removal_the_next_generation_is_the_one_that_counts(any_copies: Copies) -> None:
    await any_copies.write(write())
    await any_copies.write(write(2))
    for _ in range(2):
        await any_copies.remove(key())
    assert await any_copies.removed(key())
    assert not await any_copies.removed(key(generation=2))
    assert await any_copies.generation(sealed()) == 2


async def test_a_copy_that_was_removed_for_good_has_no_generation(any_copies: Copies) -> None:
    await any_copies.write(write())
    await any_copies.remove(key())
    assert await any_copies.generation(sealed()) is None


async def test_the_key_record_goes_before_the_first_part() -> None:
    """A copy without its key beside it is of no use when the site is lost."""
    place = await Place().ready()
    await place.copies.write(write())
    puts = [note for note in place.notes if note.startswith("put")]
    assert puts == ["put keys"] + ["put target"] * 3
    assert await place.keys.get("study-keys/one/0001") == RECORD
    assert [await place.target.get(each) for each in key().keys] == list(CONTENTS.values())


async def test_a_resume_reads_and_puts_only_what_is_missing() -> None:
    place = await Place().ready()
    await place.fill(place.target, {1: key().keys[0], 3: key().keys[2]})
    place.notes.clear()
    await place.copies.write(write())
    assert place.notes.count("get buffer") == place.notes.count("put target") == 1


async def test_a_damaged_part_is_taken_from_the_next_source() -> None:
    place = await Place().ready()
    await place.buffer.delete("buffer/2")
    await place.buffer.put("buffer/2", b"B" * 50)
    await place.fill(place.other, {number: key("other").keys[number - 1] for number in CONTENTS})
    await place.copies.write(write(1, key("other")))
    assert await place.target.get(key().keys[1]) == CONTENTS[2]


@pytest.mark.parametrize(("damaged", "reason"), [(True, "source-damaged"), (False, "source-missing")])
async def test_without_a_sound_source_nothing_is_written_of_the_part(damaged: bool, reason: str) -> None:
    place = await Place().ready()
    await place.buffer.delete("buffer/2")
    if damaged:
        await place.buffer.put("buffer/2", b"B" * 50)
    with pytest.raises(SourceLost) as error:
        await place.copies.write(write(1, key("other")))
    assert error.value.reason == reason
    with pytest.raises(BlobMissing):
        await place.target.head(key().keys[1])


async def test_a_source_that_does_not_answer_is_asked_again_later() -> None:
    place = await Place().ready()
    await place.buffer.delete("buffer/2")
    place.other.away = True
    with pytest.raises(SourceAway):
        await place.copies.write(write(1, key("other")))


async def test_a_tier_that_the_target_has_not_is_refused() -> None:
    place = await Place().ready()
    cold = Write(sealed(), key().model_copy(update={"tier": "cold"}))
    with pytest.raises(TierUnknown):
        await place.copies.write(cold)


async def test_a_removed_generation_leaves_its_mark_outside_the_data() -> None:
    place = await Place().ready()
    await place.copies.write(write())
    await place.copies.remove(key())
    assert [blob async for blob in place.target.list("")] == []
    assert [blob.key async for blob in place.keys.list("removed")] == [f"removed/{key().keys[0].rsplit('/', 1)[0]}"]


@pytest.fixture
def order() -> Iterator[list[int]]:
    """In which order the holders of a budget had their turn."""
    yield []


async def test_a_budget_is_given_out_in_turn_and_never_exceeded(order: list[int]) -> None:
    """A large request is not overtaken for ever by small ones; what is larger than all takes all."""
    budget, held, most = Budget(100), 0, 0

    async def holder(number: int, size: int) -> None:
        nonlocal held, most
        async with budget.hold(size):
            held += min(size, 100)
            most = max(most, held)
            order.append(number)
            await asyncio.sleep(0.01)
            held -= min(size, 100)

    await asyncio.gather(*(holder(n, size) for n, size in enumerate([60, 60, 500, 10, 10])))
    assert (order, most) == ([0, 1, 2, 3, 4], 100)
