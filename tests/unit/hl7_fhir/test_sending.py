"""The courier of one receiver against a queue and a connection that fail when told to."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from services.hl7_fhir.domain.outgoing.answers import Answer, NotAnAnswer, control_id_of, read_answer
from services.hl7_fhir.domain.outgoing.receivers import Ahead, Held, Receiver, Waiting
from services.hl7_fhir.handlers import Courier
from shared.errors import RetryLater
from tests.support.hl7 import adt
from tests.support.receivers import acknowledgement

QUICK = Receiver("ris", "h", 1, first=0.01, longest=0.02)


@dataclass
class Fake:
    """A queue and a link in one; ``events`` is what happened in which order."""

    waiting: list[Waiting] = field(default_factory=list)
    held: Held | None = field(default_factory=lambda: Held(None))
    codes: dict[int, list[str]] = field(default_factory=dict)
    database_fails: int = 0
    claims: int = 0
    looks: int = 0
    events: list[str] = field(default_factory=list)
    on_done: Callable[[], None] = lambda: None

    async def claim(self) -> Held | None:
        self.claims += 1
        return self.held

    async def leave(self) -> None:
        self.events.append("left")

    async def ahead(self) -> Ahead:
        self.looks += 1
        return Ahead(self.held, tuple(self.waiting) if self.held else ())

    async def fits(self, waiting: Waiting) -> bool:
        return waiting.ref != "wrong"

    async def done(self, waiting: Waiting) -> Held | None:
        return self._settle(waiting, "done")

    async def set_aside(self, waiting: Waiting, reason: str) -> Held | None:
        return self._settle(waiting, reason)

    async def again(self, waiting: Waiting, reason: str) -> Held | None:
        self.events.append(f"again {waiting.number} {reason}")
        return self.held

    async def exchange(self, content: bytes) -> Answer:
        number = int(control_id_of(content))
        self.events.append(f"sent {number}")
        codes = self.codes.get(number, [])
        return Answer(codes.pop(0) if codes else "AA", str(number))

    async def close(self) -> None:
        """Nothing."""

    def _settle(self, waiting: Waiting, how: str) -> Held | None:
        if self.database_fails:
            self.database_fails -= 1
            raise RetryLater("database-unavailable")
        self.events.append(f"{how} {waiting.number}")
        self.waiting.remove(waiting)
        self.on_done()
        return self.held


def queue(count: int) -> list[Waiting]:
    return [Waiting(n, "passed-on", "r", 0, adt(control_id=str(n))) for n in range(1, count + 1)]


async def run(fake: Fake, receiver: Receiver = QUICK, until: Callable[[], bool] | None = None) -> list[str]:
    """What happened until the queue was empty, or ``until``."""
    courier = Courier(receiver, fake, fake, look_every=0.01)
    task = asyncio.create_task(courier.run())
    async with asyncio.timeout(10):
        while not (until() if until else not fake.waiting):
            await asyncio.sleep(0.01)
    courier.end()
    await task
    return [event for event in fake.events if event != "left"]


async def test_each_message_is_noted_before_the_next_is_sent() -> None:
    assert await run(Fake(queue(3))) == ["sent 1", "done 1", "sent 2", "done 2", "sent 3", "done 3"]


async def test_while_the_database_is_away_nothing_is_sent_again() -> None:
    assert await run(Fake(queue(2), database_fails=3)) == ["sent 1", "done 1", "sent 2", "done 2"]


async def test_ar_keeps_the_order_and_ae_sets_aside_after_as_many_tries_as_it_may() -> None:
    fake = Fake(queue(2), codes={1: ["AR", "AE", "AE"]})
    assert await run(fake, Receiver("ris", "h", 1, first=0.01, longest=0.02, tries=2)) == [
        "sent 1",
        "again 1 answered-ar",
        "sent 1",
        "again 1 answered-ae",
        "sent 1",
        "answered-ae 1",
        "sent 2",
        "done 2",
    ]


async def test_a_queue_that_another_process_took_is_left_alone_at_once() -> None:
    fake = Fake(queue(3))

    def lose() -> None:
        fake.held = None

    fake.on_done = lose
    assert await run(fake, until=lambda: "done 1" in fake.events) == ["sent 1", "done 1"]


async def test_what_is_queued_while_another_process_sends_disturbs_nobody() -> None:
    fake = Fake(held=None)
    courier = Courier(QUICK, fake, fake, look_every=3600)
    task = asyncio.create_task(courier.run())
    for _ in range(50):
        courier.wake()
        await asyncio.sleep(0)
    assert fake.claims == 1
    fake.held, fake.waiting = Held(None), queue(1)
    courier.wake(hurry=True)
    while fake.waiting:
        await asyncio.sleep(0.01)
    courier.end()
    await task
    assert fake.claims == 2


async def test_an_idle_sender_looks_once_for_each_time_that_something_is_queued() -> None:
    fake = Fake()
    courier = Courier(QUICK, fake, fake, look_every=3600)
    task = asyncio.create_task(courier.run())
    await asyncio.sleep(0.05)
    looks = fake.looks
    await asyncio.sleep(0.1)
    assert fake.looks == looks
    fake.waiting = queue(1)
    courier.wake()
    while fake.waiting:
        await asyncio.sleep(0.01)
    courier.end()
    await task


async def test_a_word_of_the_operator_counts_between_two_messages() -> None:
    fake = Fake(queue(3))

    def hold() -> None:
        fake.held = Held(True)

    fake.on_done = hold
    assert await run(fake, until=lambda: "done 1" in fake.events) == ["sent 1", "done 1"]


async def test_the_operators_word_is_more_than_the_files() -> None:
    held = Receiver("ris", "h", 1, held=True)
    assert await run(Fake(queue(1), held=Held(False)), held) == ["sent 1", "done 1"]
    waits = Fake(queue(1))
    assert await run(waits, held, until=lambda: True) == []


async def test_an_end_lets_the_message_under_way_be_answered() -> None:
    fake = Fake(queue(2))
    courier = Courier(QUICK, fake, fake, look_every=0.01)
    fake.on_done = courier.end
    await courier.run()
    assert fake.events == ["sent 1", "done 1", "left", "left"]


async def test_a_message_whose_bytes_are_gone_is_set_aside() -> None:
    fake = Fake([Waiting(1, "passed-on", "r", 0, None), *queue(2)[1:]])
    assert await run(fake) == ["content-missing 1", "sent 2", "done 2"]


async def test_of_our_own_messages_one_that_does_not_fit_its_profile_is_set_aside_unless_a_person_sent_it() -> None:
    first, second, third = queue(3)
    fake = Fake([replace(first, ref="wrong", unchecked=True), replace(second, ref="wrong"), third])
    assert await run(fake) == ["profile-violation 1", "sent 2", "done 2", "sent 3", "done 3"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r",
        b"MSH",
        b"MSH|^~\\&|\rMSA|XX|1",
        b"MSH|^~\\&|\rMSA",
        b"MSA|AA|1",
        b"MSH|^~\\&|\rMSAAAA|AA|1",
        b"\x00\xff",
    ],
)
def test_what_is_no_acknowledgement_is_none(content: bytes) -> None:
    with pytest.raises(NotAnAnswer):
        read_answer(content)


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_an_answer_is_read_whatever_ends_its_lines_and_separates_its_fields(end: bytes) -> None:
    content = acknowledgement(adt(control_id="C\xe9 "), "ca").replace(b"\r", end).replace(b"|", b"$")
    assert read_answer(content) == Answer("CA", control_id_of(adt(control_id="C\xe9")))
