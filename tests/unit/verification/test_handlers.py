"""When verification reads a copy, and when it only says again what it knows."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.events import CopyExpired, CopyRemoved, Event
from contracts.formats.keys import FileKeyEncryptionKeys
from services.verification.adapters.reading import StudyKeys, TargetReading
from services.verification.domain.proving import Proof
from services.verification.handlers import Expiry, TargetProofs
from shared.breaker import Breaker
from shared.errors import AlreadyDone, RetryLater
from shared.messaging.cloudevent import Received
from shared.storage import MemoryStore, StoreRefused, StoreUnavailable
from tests.unit.verification.samples import Outcomes, RememberedLedger, copy_key, copy_written, known


class Desk:
    """The proofs of target ``a``."""

    def __init__(self, *outcomes: object, reprove_after: float = 1000) -> None:
        self.reading, self.ledger = Outcomes(*outcomes), RememberedLedger()  # type: ignore[arg-type]
        self.proofs = TargetProofs(
            target="a",
            reading=self.reading,
            ledger=self.ledger,
            circuit=Breaker(target="a", away=StoreUnavailable, probe=self._answer, first=0.001, longest=0.002),
            reprove_after=reprove_after,
            look_every=0.01,
        )

    async def _answer(self) -> None:
        """Reachable again."""

    async def hear(self, event: Event, id: str = "one", deliveries: int = 1) -> None:  # noqa: A002
        received = Received(id=id, data=event, time=datetime.now(UTC), deliveries=deliveries)
        await self.proofs.copy_written(received)  # type: ignore[arg-type]

    async def look(self, until: int) -> None:
        """Let the schedule work until so many copies were read."""
        task = asyncio.create_task(self.proofs.schedule())
        while self.reading.read < until:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_written_copy_is_read_and_proven() -> None:
    desk = Desk(Proof(1, 1))
    await desk.hear(copy_written())
    assert desk.ledger.said == [("a", 1, "proven", "written", 0)]


async def test_a_damaged_copy_is_reported() -> None:
    desk = Desk("ciphertext")
    await desk.hear(copy_written())
    assert desk.ledger.said == [("a", 1, "ciphertext", "written", 0)]


async def test_copies_of_other_targets_are_left_to_others() -> None:
    desk = Desk()
    await desk.hear(copy_written("b"))
    assert desk.reading.read == 0


async def test_a_redelivery_is_neither_read_nor_told() -> None:
    desk = Desk()
    await desk.hear(copy_written())
    with pytest.raises(AlreadyDone):
        await desk.hear(copy_written(), deliveries=2)
    assert (desk.reading.read, len(desk.ledger.said)) == (1, 1)


async def test_a_replay_reads_a_proven_copy_again_and_tells_nothing_while_it_is_well() -> None:
    desk = Desk()
    await desk.hear(copy_written())
    with pytest.raises(AlreadyDone):
        await desk.hear(copy_written())
    assert (desk.reading.read, len(desk.ledger.said)) == (2, 1)


async def test_a_replay_tells_of_damage_that_it_finds() -> None:
    desk = Desk(Proof(1, 1), "ciphertext")
    await desk.hear(copy_written())
    with pytest.raises(AlreadyDone):
        await desk.hear(copy_written())
    assert (desk.reading.read, len(desk.ledger.said)) == (2, 2)


async def test_another_run_is_told_the_standing_proof() -> None:
    desk = Desk()
    await desk.hear(copy_written())
    await desk.hear(copy_written(run=1), "two")
    assert desk.reading.read == 1
    assert [run for *_, run in desk.ledger.said] == [0, 1]


@pytest.mark.parametrize("why", ["old", "damaged"])
async def test_another_run_reads_again_without_a_standing_proof(why: str) -> None:
    desk = Desk(*(["missing"] if why == "damaged" else []), reprove_after=0 if why == "old" else 1000)
    await desk.hear(copy_written())
    await desk.hear(copy_written(run=1), "two")
    assert desk.reading.read == 2


async def test_an_expired_copy_is_not_sought() -> None:
    desk = Desk()
    expired = CopyExpired(copy_key=copy_key(), reason="retention")
    await Expiry(desk.ledger).copy_expired(Received(id="x", data=expired, time=datetime.now(UTC)))
    with pytest.raises(AlreadyDone):
        await desk.hear(copy_written())
    assert desk.reading.read == 0


async def test_an_unreachable_target_is_waited_for() -> None:
    desk = Desk(StoreUnavailable(), StoreUnavailable(), Proof(1, 1))
    await desk.hear(copy_written())
    assert desk.ledger.said == [("a", 1, "proven", "written", 0)]


async def test_a_refusing_target_is_tried_again_later_and_nothing_is_said() -> None:
    desk = Desk(StoreRefused())
    with pytest.raises(StoreRefused):
        await desk.hear(copy_written())
    assert desk.ledger.said == []


async def test_each_scheduled_reading_is_told_by_itself() -> None:
    desk = Desk()
    await desk.hear(copy_written())
    for number in (1, 2):
        await desk.ledger.make_due()
        await desk.look(until=1 + number)
    assert desk.ledger.said[1:] == [("a", 1, "proven", "scheduled", 1), ("a", 1, "proven", "scheduled", 2)]


async def test_the_schedule_survives_a_copy_that_can_not_be_read() -> None:
    desk = Desk(Proof(1, 1), Proof(1, 1), StoreRefused(), "seal")
    await desk.hear(copy_written())
    await desk.hear(copy_written(generation=2), "two")
    await desk.ledger.make_due()
    await desk.look(until=4)
    assert desk.ledger.said[2:] == [("a", 2, "seal", "scheduled", 1)]


def removed(recall_id: str | None = "recall", target: str = "a") -> Received[CopyRemoved]:
    """A copy was removed, because its pack was called back."""
    event = CopyRemoved(copy_key=copy_key(target), removed=datetime.now(UTC), recall_id=recall_id)
    return Received(id="removed", data=event, time=datetime.now(UTC))


async def test_a_copy_that_was_called_back_is_looked_for_and_told_to_be_gone() -> None:
    """Only then; until it is, the question stays open."""
    desk = Desk()
    with pytest.raises(RetryLater, match="copy-still-there"):
        await desk.proofs.copy_removed(removed())
    desk.reading.gone = "removed"
    await desk.proofs.copy_removed(removed())
    (told,) = desk.ledger.absent
    assert (told.level, told.recall_id, told.copy_key) == ("removed", "recall", copy_key())


async def test_other_removals_prove_nothing_and_are_not_looked_at() -> None:
    desk = Desk()
    await desk.proofs.copy_removed(removed(recall_id=None))
    await desk.proofs.copy_removed(removed(target="b"))
    assert desk.reading.asked == [] and desk.ledger.absent == []


@pytest.mark.parametrize(
    ("locked", "there", "keyed", "hidden", "level"),
    [
        (False, False, True, False, "removed"),
        (False, True, True, False, None),
        (False, True, False, False, "shredded"),
        (True, False, True, False, None),
        (True, False, False, True, None),
        (True, False, False, False, "shredded"),
    ],
)
async def test_in_a_locked_target_only_the_missing_key_is_a_proof(
    locked: bool, there: bool, keyed: bool, hidden: bool, level: str | None
) -> None:
    """A deletion only hides what is locked, and a key of which its bucket keeps a version. A key counts as gone when it
    is neither in the target nor on site."""
    target, bucket, site = MemoryStore(), MemoryStore(), MemoryStore()
    if there:
        await target.put("f/0001", b"x")
    record = known().sealed.study_key.key
    for store in (bucket, site) if keyed else ():
        await store.put(f"{record}/0001", b"x")
    versions = {f"{record}/0001"} if hidden else set()

    async def is_hidden(key: str) -> bool:
        return key in versions

    away = FileKeyEncryptionKeys(Path("none"))  # it opens none here
    keys = StudyKeys(key_bucket=bucket, key_records=site, keys=away, is_hidden=is_hidden)
    reading = TargetReading(target=target, study_keys=keys, is_locked=locked)
    assert await reading.absence(copy_key(), record) == level
    if keyed and level is None:
        await bucket.delete(f"{record}/0001")
        assert await reading.absence(copy_key(), record) is None
