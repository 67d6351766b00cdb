"""What replication says and does with each event, over a fake target."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.events import CopyDamaged, CopyExpired, CopyFailed, CopyRemoved, CopyWritten, Event, KeyDestroyed
from services.replication.domain import SourceLost, copy_key
from services.replication.handlers import CopyHandlers
from shared.breaker import Breaker
from shared.errors import AlreadyDone
from shared.storage import StoreFull, StoreRefused, StoreUnavailable
from tests.support.packs import copies
from tests.unit.replication.samples import SITE_KEY, RememberedCopies, Said, pack_sealed, received, sealed


class Desk:
    """The handlers of target ``a``; ``errors`` are raised by the target, one a call."""

    def __init__(self, *errors: Exception) -> None:
        self.copies, self.bus = RememberedCopies(*errors), Said()
        self.handlers = CopyHandlers(
            target="a",
            forms=("identified",),
            site_key=SITE_KEY,
            copies=self.copies,
            circuit=Breaker(target="a", away=StoreUnavailable, probe=self._answer, first=0.001, longest=0.002),
            bus=self.bus,
        )

    async def _answer(self) -> None:
        """Reachable again."""

    def said(self) -> list[tuple[type[Event], int]]:
        return [(type(event), event.copy_key.generation) for event in self.bus.events]  # type: ignore[attr-defined]


def damaged(generation: int = 1, target: str = "a", **more: Any) -> CopyDamaged:
    values = {
        "copy_key": copy_key(SITE_KEY, sealed(), copies(target)[0], generation),
        "sealed": sealed(),
        "reason": "ciphertext",
        "sources": (),
        "found": datetime.now(UTC),
    }
    return CopyDamaged(**(values | more))


def expired(generation: int = 1) -> CopyExpired:
    return CopyExpired(copy_key=damaged(generation).copy_key, reason="superseded")


async def test_a_repeat_says_the_same_under_the_same_id() -> None:
    desk = Desk()
    for _ in range(2):
        await desk.handlers.pack_sealed(received(pack_sealed("a", "b")))
    assert desk.said() == [(CopyWritten, 1)] * 2
    assert len(set(desk.bus.ids)) == 1


async def test_a_new_run_says_it_under_its_own() -> None:
    desk = Desk()
    for run in range(2):
        await desk.handlers.pack_sealed(received(pack_sealed("a", run=run)))
    assert len(set(desk.bus.ids)) == 2
    assert [event.run for event in desk.bus.events] == [0, 1]  # type: ignore[attr-defined]


async def test_events_for_other_targets_are_none_of_its_business() -> None:
    desk = Desk()
    await desk.handlers.pack_sealed(received(pack_sealed("b")))
    await desk.handlers.copy_damaged(received(damaged(target="b")))
    assert desk.said() == []


async def test_a_form_that_may_not_rest_here_is_never_written() -> None:
    desk = Desk()
    await desk.handlers.pack_sealed(received(pack_sealed("a", form="deidentified")))
    [failed] = desk.bus.events
    assert isinstance(failed, CopyFailed)
    assert (failed.reason, failed.retrying, desk.copies.there) == ("form-excluded", False, set())


async def test_an_unreachable_target_is_reported_once_and_written_when_it_is_back() -> None:
    desk = Desk(StoreUnavailable(), StoreUnavailable(), StoreUnavailable())
    await desk.handlers.pack_sealed(received(pack_sealed("a")))
    assert desk.said() == [(CopyFailed, 1), (CopyWritten, 1)]
    assert (desk.bus.events[0].reason, desk.bus.events[0].retrying) == ("target-unreachable", True)  # type: ignore[attr-defined]


@pytest.mark.parametrize("refusal", [StoreRefused(), StoreFull()])
async def test_a_refusing_target_is_reported_and_tried_again_later(refusal: StoreRefused | StoreFull) -> None:
    """The message comes back by itself; every time it says the same under the same id."""
    desk = Desk(refusal, refusal)
    for _ in range(2):
        with pytest.raises(type(refusal)):
            await desk.handlers.pack_sealed(received(pack_sealed("a")))
    assert [(event.reason, event.retrying) for event in desk.bus.events] == [(refusal.reason, True)] * 2  # type: ignore[attr-defined]
    assert len(set(desk.bus.ids)) == 1


async def test_a_lost_source_is_reported_and_not_tried_again() -> None:
    desk = Desk()
    desk.copies.lost = SourceLost("source-damaged")
    await desk.handlers.pack_sealed(received(pack_sealed("a")))
    assert [(event.reason, event.retrying) for event in desk.bus.events] == [("source-damaged", False)]  # type: ignore[attr-defined]


async def test_each_damage_makes_the_next_generation() -> None:
    desk = Desk()
    await desk.handlers.pack_sealed(received(pack_sealed("a")))
    for generation in (1, 2):
        await desk.handlers.copy_damaged(received(damaged(generation)))
    assert desk.said() == [(CopyWritten, 1), (CopyWritten, 2), (CopyWritten, 3)]


async def test_a_superseded_generation_goes_and_does_not_come_back() -> None:
    """A replay of the first event finds the second generation and says so."""
    desk = Desk()
    await desk.handlers.pack_sealed(received(pack_sealed("a")))
    await desk.handlers.copy_damaged(received(damaged()))
    await desk.handlers.copy_expired(received(expired()))
    await desk.handlers.pack_sealed(received(pack_sealed("a")))
    assert desk.said()[2:] == [(CopyRemoved, 1), (CopyWritten, 2)]
    with pytest.raises(AlreadyDone):
        await desk.handlers.copy_damaged(received(damaged()))


async def test_a_copy_that_was_removed_for_good_is_not_written_again() -> None:
    desk = Desk()
    await desk.handlers.pack_sealed(received(pack_sealed("a")))
    await desk.handlers.copy_expired(received(expired()))
    with suppress(AlreadyDone):
        await desk.handlers.pack_sealed(received(pack_sealed("a")))
    assert desk.copies.there == set()
    assert desk.said() == [(CopyWritten, 1), (CopyRemoved, 1)]


async def test_a_copy_that_is_wanted_again_is_written_in_the_generation_that_the_plan_names() -> None:
    """Nothing of it is there: the older one was removed for good."""
    desk = Desk()
    await desk.handlers.pack_sealed(received(pack_sealed("a", generation=1)))
    await desk.handlers.copy_expired(received(expired()))
    await desk.handlers.pack_sealed(received(pack_sealed("a", run=1, generation=2)))
    assert desk.said() == [(CopyWritten, 1), (CopyRemoved, 1), (CopyWritten, 2)]


async def test_the_order_of_removal_and_another_plan_makes_no_difference() -> None:
    desk = Desk()
    await desk.handlers.pack_sealed(received(pack_sealed("a", generation=1)))
    await desk.handlers.pack_sealed(received(pack_sealed("a", run=1, generation=2)))
    await desk.handlers.copy_expired(received(expired()))
    assert desk.copies.there == {damaged(2).copy_key.keys[0].rsplit("/", 1)[0]}


async def test_another_tier_is_written_as_the_generation_that_the_plan_names() -> None:
    desk = Desk()
    await desk.handlers.pack_sealed(received(pack_sealed("a", generation=1)))
    await desk.handlers.pack_sealed(received(pack_sealed("a", run=1, generation=2, tier="cold")))
    assert [(event.copy_key.generation, event.copy_key.tier) for event in desk.bus.events] == [  # type: ignore[attr-defined]
        (1, "hot"),
        (2, "cold"),
    ]


async def test_a_generation_that_was_removed_does_not_come_back_and_is_told_to_be_gone() -> None:
    """A replay, or a ledger that forgot: the same fact under the same id, and it asks for the next one then."""
    desk = Desk()
    for generation in (1, 2):
        await desk.handlers.pack_sealed(received(pack_sealed("a", generation=generation)))
        await desk.handlers.copy_expired(received(expired(generation)))
    ids = set(desk.bus.ids)
    await desk.handlers.pack_sealed(received(pack_sealed("a", generation=1)))
    assert desk.said()[4:] == [(CopyRemoved, 1), (CopyRemoved, 2)]
    assert (desk.copies.there, set(desk.bus.ids)) == (set(), ids)


@pytest.mark.parametrize("reason", ["manifest", "instances"])
async def test_a_pack_that_was_sealed_damaged_is_not_written_again_and_again(reason: str) -> None:
    """Its copies are byte for byte what was sealed: another one would be no better."""
    desk = Desk()
    await desk.handlers.pack_sealed(received(pack_sealed("a")))
    await desk.handlers.copy_damaged(received(damaged(reason=reason, run=4)))
    failed = desk.bus.events[-1]
    assert isinstance(failed, CopyFailed)
    assert (failed.reason, failed.retrying, failed.run) == ("pack-damaged", False, 4)
    assert desk.said() == [(CopyWritten, 1), (CopyFailed, 1)]


async def test_copies_that_are_never_proven_come_to_an_end() -> None:
    """Each is found damaged as soon as it is written: after the third nothing is written, and somebody is told."""
    desk = Desk()
    await desk.handlers.pack_sealed(received(pack_sealed("a")))
    for generation in (1, 2, 3):
        await desk.handlers.copy_damaged(received(damaged(generation, unproven=generation)))
    assert desk.said() == [(CopyWritten, 1), (CopyWritten, 2), (CopyWritten, 3), (CopyFailed, 3)]
    assert (desk.bus.events[-1].reason, desk.bus.events[-1].retrying) == ("never-proven", False)  # type: ignore[attr-defined]


async def test_what_is_remembered_of_key_records_is_doubted_when_something_was_wrong() -> None:
    """A damaged copy may be one without its key, and so may what the sweep starts again."""
    desk = Desk()
    await desk.handlers.pack_sealed(received(pack_sealed("a")))
    await desk.handlers.copy_damaged(received(damaged()))
    await desk.handlers.pack_sealed(received(pack_sealed("a", run=1)))
    assert desk.copies.doubted == [False, True, True]


async def test_what_is_called_back_is_told_to_be_removed_even_where_a_lock_forbids_it() -> None:
    """Whether it is gone is for verification to say; another removal that is refused is tried again."""
    desk = Desk(StoreRefused())
    await desk.handlers.copy_expired(received(expired().model_copy(update={"recall_id": "recall"})))
    (told,) = desk.bus.events
    assert isinstance(told, CopyRemoved) and told.recall_id == "recall"
    desk = Desk(StoreRefused())
    with pytest.raises(StoreRefused):
        await desk.handlers.copy_expired(received(expired()))
    assert desk.bus.events == []


async def test_a_removal_for_a_recall_has_an_id_of_its_own() -> None:
    """A copy may have gone before, for another reason; the recall wants its proof all the same."""
    desk = Desk()
    await desk.handlers.copy_expired(received(expired()))
    await desk.handlers.copy_expired(received(expired().model_copy(update={"recall_id": "recall"})))
    assert len(set(desk.bus.ids)) == 2


async def test_a_destroyed_key_goes_from_the_target_as_well() -> None:
    desk = Desk(StoreUnavailable("away"))
    event = KeyDestroyed(study_key="study-keys/k", key_domain="one", recall_id="recall", destroyed=datetime.now(UTC))
    await desk.handlers.key_destroyed(received(event))
    assert desk.copies.forgotten == ["study-keys/k"]
