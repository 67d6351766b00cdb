"""What replication says and does with each event, over a fake target."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest

from contracts.events import CopyDamaged, CopyExpired, CopyFailed, CopyRemoved, CopyWritten, Event
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


def damaged(generation: int = 1, target: str = "a", run: int = 0) -> CopyDamaged:
    return CopyDamaged(
        copy_key=copy_key(SITE_KEY, sealed(), copies(target)[0], generation),
        sealed=sealed(),
        reason="ciphertext",
        sources=(),
        found=datetime.now(UTC),
        run=run,
    )


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
