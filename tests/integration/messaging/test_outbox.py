"""What a transaction tells of is published when it commits, however long the bus is away; on both databases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData

from shared.messaging.bus import Bus
from shared.messaging.inbox import Inbox, inbox_table
from shared.messaging.outbox import Outbox, outbox_table
from shared.sql.database import Database
from tests.support.nats import NatsServer
from tests.support.services import Noted, eventually, publisher

metadata = MetaData()
INBOX = inbox_table(metadata)
OUTBOX = outbox_table(metadata)


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database with the two tables."""
    url = f"sqlite:///{tmp_path}/test.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    made = Database(url)
    await made.run(metadata.create_all)
    yield made
    await made.close()


@asynccontextmanager
async def relaying(*outboxes: Outbox) -> AsyncIterator[None]:
    """The relays of ``outboxes``, alive."""
    tasks = [asyncio.create_task(each.relay()) for each in outboxes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def stored(server: NatsServer) -> list[str]:
    """The ids of the events in the stream, in its order."""
    async with server.jetstream() as jetstream:
        last = (await jetstream.stream_info("IMAGING")).state.last_seq
        found = [await jetstream.get_msg("IMAGING", seq=sequence) for sequence in range(1, last + 1)]
    return [message.headers["ce-id"] for message in found if message.headers]


async def tell(database: Database, outbox: Outbox, *ids: str) -> None:
    """One transaction that tells of ``ids``."""

    def work(connection: Connection) -> None:
        for each in ids:
            outbox.add(connection, Noted(number=1), id=each)

    await database.run(work)


async def test_a_committed_row_is_published_and_gone(bus: NatsServer, database: Database) -> None:
    async with publisher(bus) as sender:
        outbox = Outbox(OUTBOX, database, sender)
        async with relaying(outbox):
            await tell(database, outbox, "a", "b", "c")

            async def all_stored() -> bool:
                return await stored(bus) == ["a", "b", "c"]

            await eventually(all_stored)
            await eventually(lambda: _empty(outbox))


async def _empty(outbox: Outbox) -> bool:
    return await outbox.waiting() == 0


async def test_a_commit_wakes_the_relay(bus: NatsServer, database: Database) -> None:
    async with publisher(bus) as sender:
        outbox = Outbox(OUTBOX, database, sender, look_every=3600)
        async with relaying(outbox):
            for each in "abcdef":
                await asyncio.sleep(0.05)
                await tell(database, outbox, each)
                await eventually(lambda: _empty(outbox), within=5)


async def test_a_row_of_a_transaction_that_failed_is_never_published(bus: NatsServer, database: Database) -> None:
    async with publisher(bus) as sender:
        outbox = Outbox(OUTBOX, database, sender)

        def work(connection: Connection) -> None:
            outbox.add(connection, Noted(number=1), id="a")
            raise ZeroDivisionError

        async with relaying(outbox):
            with pytest.raises(ZeroDivisionError):
                await database.run(work)
            await tell(database, outbox, "b")
            await eventually(lambda: _empty(outbox))
        assert await stored(bus) == ["b"]


async def test_rows_survive_an_outage_of_the_bus(bus: NatsServer, database: Database) -> None:
    async with publisher(bus) as sender:
        outbox = Outbox(OUTBOX, database, sender)
        async with relaying(outbox):
            bus.kill()
            await tell(database, outbox, "a", "b")
            await asyncio.sleep(0.2)
            assert await outbox.waiting() == 2
            bus.start()
            await eventually(lambda: _empty(outbox), within=30)
        assert sorted(await stored(bus)) == ["a", "b"]


async def test_several_relays_publish_each_row_once(bus: NatsServer, database: Database) -> None:
    ids = [f"{number:03}" for number in range(100)]
    async with publisher(bus) as first, publisher(bus) as second:
        outboxes = [Outbox(OUTBOX, database, first), Outbox(OUTBOX, database, second)]
        async with relaying(*outboxes):
            await tell(database, outboxes[0], *ids[:50])
            await tell(database, outboxes[1], *ids[50:])
            await eventually(lambda: _empty(outboxes[0]))
        assert sorted(await stored(bus)) == ids


async def test_a_claim_that_its_holder_did_not_keep_ends(bus: NatsServer, database: Database) -> None:
    dead = Outbox(OUTBOX, database, Bus(bus.settings(), "dead"), claim=0.5)
    await tell(database, dead, "a")
    await database.run(dead._claim)
    async with publisher(bus) as sender:
        alive = Outbox(OUTBOX, database, sender, look_every=0.2)
        async with relaying(alive):
            await eventually(lambda: _empty(alive))
    assert await stored(bus) == ["a"]


async def test_a_row_that_will_never_do_holds_up_no_other(bus: NatsServer, database: Database) -> None:
    async with publisher(bus) as sender:
        outbox = Outbox(OUTBOX, database, sender)

        def work(connection: Connection) -> None:
            outbox.add(connection, Noted(number=1, text="x" * 1_100_000), id="a")
            outbox.add(connection, Noted(number=1), id="b")

        await database.run(work)
        async with relaying(outbox):
            await eventually(lambda: _empty(outbox))
    assert await stored(bus) == ["b"]


async def test_a_row_that_waits_is_not_written_twice(bus: NatsServer, database: Database) -> None:
    outbox = Outbox(OUTBOX, database, Bus(bus.settings(), "sender"))
    await tell(database, outbox, "a", "a")
    await tell(database, outbox, "a")
    assert await outbox.waiting() == 1


async def test_an_event_is_taken_in_once_per_handler(database: Database) -> None:
    inbox = Inbox(INBOX)
    assert not await database.run(lambda connection: inbox.seen(connection, "a", "plan"))
    assert await database.run(lambda connection: inbox.seen(connection, "a", "plan"))
    assert not await database.run(lambda connection: inbox.seen(connection, "a", "prove"))


async def test_an_event_whose_effect_failed_is_not_taken_in(database: Database) -> None:
    inbox = Inbox(INBOX)

    def work(connection: Connection) -> None:
        inbox.seen(connection, "a", "plan")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.run(work)
    assert not await database.run(lambda connection: inbox.seen(connection, "a", "plan"))


@pytest.mark.parametrize("turns", range(5))
async def test_a_relay_ends_when_it_is_told_to_at_the_moment_that_it_is_woken(
    bus: NatsServer, database: Database, turns: int
) -> None:
    async with publisher(bus) as sender:
        outbox = Outbox(OUTBOX, database, sender, look_every=60)
        relay = asyncio.create_task(outbox.relay())
        await asyncio.sleep(0.5)  # it has looked, and waits
        outbox._woken.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        relay.cancel()
        done, _waiting = await asyncio.wait([relay], timeout=5)
        relay.cancel()
    assert done == {relay}
