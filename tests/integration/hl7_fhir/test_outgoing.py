"""What comes goes on to every receiver: byte for byte, once, in order; on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.outgoing import is_awaited
from services.hl7_fhir.adapters.outgoing_tables import outgoing as queued
from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.tables import messages
from tests.support.databases import Migrated
from tests.support.hl7 import adt, orm
from tests.support.receivers import (
    Receiver,
    accept,
    acknowledgement,
    framed,
    receivers_yaml,
    receiving,
    without_repeats,
)
from tests.support.sending import KEY, Post, posting


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, migrated: Migrated) -> str:
    return migrated(request.param, "hl7_fhir")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as entered:
        yield entered


async def post(stack: AsyncExitStack, url: str, path: Path, **named: Any) -> Post:
    return await stack.enter_async_context(posting(url, receivers_yaml(path, **named), migrate=False))


def feed(count: int) -> list[bytes]:
    """Messages of several types with bytes that are no ASCII."""
    return [
        adt("A08", control_id=f"M{n}", pid=f"PID|1||P{n}^^^HOSP^MR||Zoë{n}^Jane")
        if n % 2
        else orm(control_id=f"M{n}", orc2=f"PL{n}^HIS", orc3=f"FI{n}^RIS")
        for n in range(count)
    ]


async def test_every_message_goes_on_as_it_came_whether_it_is_mapped_or_not(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    receiver = await stack.enter_async_context(receiving())
    desk = await post(stack, url, tmp_path / "r.yaml", pacs=receiver.port)
    strange = b"MSH|^~\\&|X|Y|||20260101||ZZZ^Z99|M9|P|2.5\nZXY|\xf0\x9f\x8f\xa5||\n\n"
    sent = [*feed(6), strange]
    assert await desk.send(*sent) == ["AA"] * 7
    await desk.until("pacs", waiting=0, delivered=7)
    assert receiver.got == sent
    assert receiver.connections == 1


async def test_a_repeat_is_passed_on_once_and_a_refused_message_not_at_all(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    receiver, other = await stack.enter_async_context(receiving()), await stack.enter_async_context(receiving())
    named = {"pacs": receiver.port, "all": (other.port, "refused: true")}
    desk = await post(stack, url, tmp_path / "r.yaml", **named)
    broken, right = orm(control_id="M1").replace(b"ORC|NW", b"ORC|"), orm(control_id="M2")
    assert await desk.send(broken, broken, right, right) == ["AE", "AE", "AA", "AA"]
    await desk.until("pacs", delivered=1)
    await desk.until("all", delivered=2)
    assert (receiver.got, other.got) == ([right], [broken, right])


async def test_rules_decide_who_gets_what(url: str, stack: AsyncExitStack, tmp_path: Path) -> None:
    orders, nothing = await stack.enter_async_context(receiving()), await stack.enter_async_context(receiving())
    named = {"orders": (orders.port, "pass_on:\n  - types: ORM^O01"), "nothing": (nothing.port, "pass_on: none")}
    desk = await post(stack, url, tmp_path / "r.yaml", **named)
    sent = feed(4)
    await desk.send(*sent)
    await desk.until("orders", delivered=2)
    assert orders.got == sent[::2]
    assert nothing.got == []
    assert (await desk.standing("nothing"))["delivered"] == 0


async def test_a_receiver_that_comes_back_has_every_message_once_and_in_order(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    receiver = await stack.enter_async_context(receiving())
    desk = await post(stack, url, tmp_path / "r.yaml", pacs=receiver.port)
    sent = feed(60)
    await desk.send(*sent[:10])
    await receiver.has(5)
    await receiver.stop()
    await desk.send(*sent[10:])
    away = await desk.until("pacs", away="not-reachable")
    assert away["waiting"] > 40
    assert away["age"] is not None
    await receiver.start()
    there = await desk.until("pacs", waiting=0)
    assert (there["away"], there["delivered"]) == (None, 60)
    assert without_repeats(receiver.got) == sent
    assert len(receiver.got) <= 61  # the one under way when it went may have come twice


@pytest.mark.slow
async def test_a_long_absence_stops_no_intake_and_no_other_receiver(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    """Two hours of a feed with a message every fifteen seconds, in one go."""
    here, gone = await stack.enter_async_context(receiving()), Receiver()
    desk = await post(stack, url, tmp_path / "r.yaml", here=here.port, gone=gone.port)
    sent = feed(480)
    assert set(await desk.send(*sent)) == {"AA"}
    await desk.until("here", waiting=0, delivered=480)
    assert (await desk.standing("gone"))["waiting"] == 480
    await gone.start()
    await desk.until("gone", waiting=0, delivered=480, within=60)
    await gone.stop()
    assert here.got == sent
    assert gone.got == sent


async def test_what_is_refused_is_set_aside_and_the_queue_goes_on(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    is_mended = False

    async def behave(message: bytes, _: int, __: asyncio.StreamWriter) -> bytes:
        refused = b"|M1|" in message and not is_mended
        return framed(acknowledgement(message, "AE" if refused else "AA"))

    receiver = await stack.enter_async_context(receiving(behave))
    desk = await post(stack, url, tmp_path / "r.yaml", pacs=(receiver.port, "tries: 3"))
    sent = feed(4)
    await desk.send(*sent)
    await desk.until("pacs", waiting=0, aside=1, delivered=3)
    assert receiver.got == [sent[0], sent[1], sent[1], sent[1], sent[2], sent[3]]
    (aside,) = await desk.desk.shown("pacs")
    assert (aside["state"], aside["reason"], aside["kind"]) == ("aside", "answered-ae", "passed-on")
    is_mended = True
    assert await desk.desk.retry("pacs", None) == 1
    await desk.until("pacs", waiting=0, aside=0, delivered=4)
    assert receiver.got[-1] == sent[1]


async def test_what_is_answered_with_ar_is_sent_again_before_anything_else(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    async def behave(message: bytes, number: int, _: asyncio.StreamWriter) -> bytes:
        return framed(acknowledgement(message, ("CR", "AR", "CA")[min(number, 3) - 1]))

    receiver = await stack.enter_async_context(receiving(behave))
    desk = await post(stack, url, tmp_path / "r.yaml", pacs=receiver.port)
    sent = feed(3)
    await desk.send(*sent)
    await desk.until("pacs", waiting=0, delivered=3)
    assert receiver.got == [sent[0], sent[0], *sent]


async def test_a_held_receiver_gets_nothing_until_it_is_released(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    receiver = await stack.enter_async_context(receiving())
    desk = await post(stack, url, tmp_path / "r.yaml", pacs=(receiver.port, "held: true"))
    await desk.send(*feed(2))
    await desk.until("pacs", waiting=2)
    await asyncio.sleep(0.2)
    assert receiver.got == []
    await desk.desk.hold("pacs", held=False)
    await desk.until("pacs", waiting=0)
    await desk.desk.hold("pacs", held=True)
    await asyncio.sleep(0.1)
    await desk.send(*feed(3)[2:])
    await asyncio.sleep(0.3)
    assert len(receiver.got) == 2
    await desk.desk.hold("pacs", held=False)
    await desk.until("pacs", waiting=0, delivered=3)


async def test_a_new_receiver_gets_what_comes_and_a_removed_ones_queue_stays(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    path = tmp_path / "r.yaml"
    old, new = await stack.enter_async_context(receiving()), await stack.enter_async_context(receiving())
    desk = await post(stack, url, path, old=(old.port, "held: true"))
    sent = feed(5)
    await desk.send(*sent[:2])
    receivers_yaml(path, new=new.port)
    await desk.send(*sent[2:])
    await desk.until("new", waiting=0, delivered=3)
    await asyncio.sleep(0.2)
    assert (new.got, old.got) == (sent[2:], [])
    assert (await desk.standing("old"))["waiting"] == 2
    receivers_yaml(path, new=new.port, old=old.port)
    await desk.desk.hold("old", held=False)
    await desk.until("old", waiting=0)
    assert old.got == sent[:2]


async def test_a_message_that_blocks_the_queue_can_be_given_up(url: str, stack: AsyncExitStack, tmp_path: Path) -> None:
    async def behave(message: bytes, number: int, writer: asyncio.StreamWriter) -> bytes | None:
        return None if b"|M0|" in message else await accept(message, number, writer)

    receiver = await stack.enter_async_context(receiving(behave))
    desk = await post(stack, url, tmp_path / "r.yaml", pacs=receiver.port)
    await desk.send(*feed(3))
    await desk.until("pacs", away="connection-lost")
    (blocking,) = await desk.desk.shown("pacs")
    assert (blocking["state"], blocking["reason"]) == ("waiting", "connection-lost")
    assert await desk.desk.discard("pacs", blocking["number"], everything=False) == 1
    await desk.until("pacs", waiting=0, delivered=2)


async def test_retention_spares_what_still_waits_and_what_is_gone_stops_nobody(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    receiver = await stack.enter_async_context(receiving())
    desk = await post(stack, url, tmp_path / "r.yaml", pacs=(receiver.port, "held: true"))
    sent = feed(3)
    await desk.send(*sent)
    assert (await desk.database.run(lambda c: c.execute(delete(messages).where(~is_awaited())))).rowcount == 0
    first = select(messages.c.sequence).order_by(messages.c.sequence).limit(1)
    await desk.database.run(lambda c: c.execute(delete(messages).where(messages.c.sequence == first.scalar_subquery())))
    await desk.desk.hold("pacs", held=False)
    await desk.until("pacs", waiting=0, aside=1, delivered=2)
    assert receiver.got == sent[1:]
    assert (await desk.desk.shown("pacs"))[0]["reason"] == "content-missing"
    gone = await desk.database.run(lambda c: c.execute(delete(messages).where(~is_awaited())))
    assert gone.rowcount == 2


async def test_content_is_that_of_the_message(url: str, stack: AsyncExitStack, tmp_path: Path) -> None:
    desk = await post(stack, url, tmp_path / "r.yaml", pacs=(1, "held: true"))
    sent = feed(2)
    await desk.send(*sent)
    numbers, contents = select(queued.c.sequence).order_by(queued.c.number), Contents(Sealer(KEY))
    rows = await desk.database.read(lambda c: [contents.read(c, number) for number in c.execute(numbers).scalars()])
    assert rows == sent


async def test_of_two_processes_one_sends_and_the_other_takes_over(
    postgres: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    receiver = await stack.enter_async_context(receiving())
    path = receivers_yaml(tmp_path / "r.yaml", pacs=receiver.port)
    sent = feed(40)
    async with AsyncExitStack() as first_life:
        first = await first_life.enter_async_context(posting(postgres, path))
        second = await stack.enter_async_context(posting(postgres, path, migrate=False))
        for one, other in zip(sent[:20:2], sent[1:20:2], strict=True):
            await first.send(one)
            await second.send(other)
        await first.until("pacs", delivered=20)
        assert receiver.got == sent[:20]
        assert receiver.connections == 1
    await second.send(*sent[20:])
    await second.until("pacs", waiting=0, delivered=40)
    assert receiver.got == sent


async def test_a_person_need_not_wait_for_the_pause_after_a_failure(
    url: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    receiver = Receiver()
    named = (receiver.port, "retry: {first: 1h, longest: 2h}")
    desk = await post(stack, url, tmp_path / "r.yaml", pacs=named)
    await desk.send(*feed(1))
    await desk.until("pacs", away="not-reachable")
    await receiver.start()
    await desk.send(*feed(2)[1:])
    await asyncio.sleep(0.3)
    assert receiver.got == []
    await desk.desk.retry("pacs", None)
    await desk.until("pacs", waiting=0, delivered=2)
    await receiver.stop()
