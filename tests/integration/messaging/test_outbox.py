"""What a transaction tells of is published when it commits, however long the bus is away; on both databases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, Row, select

from shared.errors import RetryLater
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


class Stuck(Outbox):
    """Sends the first row, and then hangs."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.hangs = asyncio.Event()

    async def _send(self, row: Row[Any]) -> bool:
        if row.id != "a":
            self.hangs.set()
            await asyncio.sleep(3600)
        return await super()._send(row)


async def test_a_relay_that_ends_leaves_nothing_claimed(bus: NatsServer, database: Database) -> None:
    async with publisher(bus) as sender:
        stuck = Stuck(OUTBOX, database, sender)
        async with relaying(stuck):
            await tell(database, stuck, "a", "b", "c")
            await stuck.hangs.wait()
        assert await _claims(database) == {"b": 0.0, "c": 0.0}
        outbox = Outbox(OUTBOX, database, sender)
        await tell(database, outbox, "d")
        async with relaying(outbox):
            await eventually(lambda: _empty(outbox), within=5)
    assert await stored(bus) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("turns", range(8))
async def test_a_relay_that_ends_while_it_claims_leaves_nothing_claimed(
    bus: NatsServer, database: Database, turns: int
) -> None:
    async with publisher(bus) as sender:
        stuck = Stuck(OUTBOX, database, sender)
        await tell(database, stuck, "b")
        relay = asyncio.create_task(stuck.relay())
        for _ in range(turns):
            await asyncio.sleep(0.001)
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
    assert await _claims(database) == {"b": 0.0}


async def test_a_relay_that_cannot_reach_its_database_ends_all_the_same(bus: NatsServer, database: Database) -> None:
    async with publisher(bus) as sender:
        stuck = Stuck(OUTBOX, database, sender)

        async def never(work: Any) -> Any:
            raise RetryLater("database-unavailable")

        async with relaying(stuck):
            await tell(database, stuck, "b")
            await stuck.hangs.wait()
            stuck._database = SimpleNamespace(run=never)
    assert (await _claims(database))["b"] > 0


async def test_what_a_process_that_was_killed_had_claimed_goes_out_first_on_sqlite(
    bus: NatsServer, tmp_path: Path
) -> None:
    database = Database(f"sqlite:///{tmp_path}/one.db")
    await database.run(metadata.create_all)
    dead = Outbox(OUTBOX, database, Bus(bus.settings(), "dead"))
    await tell(database, dead, "a")
    await database.run(dead._claim)
    await tell(database, dead, "b")
    async with publisher(bus) as sender:
        alive = Outbox(OUTBOX, database, sender)
        async with relaying(alive):
            await eventually(lambda: _empty(alive), within=5)
    await database.close()
    assert await stored(bus) == ["a", "b"]


async def _claims(database: Database) -> dict[str, float]:
    chosen = select(OUTBOX.c.id, OUTBOX.c.claimed_until)
    return {row.id: row.claimed_until for row in await database.read(lambda c: c.execute(chosen).all())}
