"""One writer at a time, on both engines."""

import asyncio

from services.catalog.adapters.lease import Lease, acquire, holds
from services.catalog.adapters.tables import lease
from shared.sql import Database


async def take(database: Database, holder: str, seconds: float = 60, name: str = "life-cycle") -> Lease | None:
    return await database.run(lambda connection: acquire(connection, lease, name, holder, seconds))


async def test_one_holder_at_a_time(database: Database) -> None:
    """While one holds the lease, another gets none; the holder may prolong it, in the same term."""
    first = await take(database, "one")
    assert (first.name, first.holder, first.term) == ("life-cycle", "one", 1)
    assert await take(database, "two") is None
    assert await take(database, "one") == first


async def test_names_are_independent(database: Database) -> None:
    """A lease of one name says nothing of another."""
    assert await take(database, "one", name="a")
    assert await take(database, "two", name="b")


async def test_an_expired_lease_goes_to_the_next(database: Database) -> None:
    """After expiry another takes over in a new term, and the earlier holder's term holds no more."""
    first = await take(database, "one", seconds=-1)
    second = await take(database, "two")
    assert second.term == first.term + 1
    assert not await database.run(lambda connection: holds(connection, lease, first))
    assert await database.run(lambda connection: holds(connection, lease, second))


async def test_a_late_return_is_a_new_term(database: Database) -> None:
    """Who lost the lease and takes it again has a new term: nothing of the old one counts."""
    first = await take(database, "one", seconds=-1)
    await take(database, "two", seconds=-1)
    again = await take(database, "one")
    assert again.term == 3
    assert not await database.run(lambda connection: holds(connection, lease, first))


async def test_of_many_who_try_at_once_one_gets_it(database: Database, url: str) -> None:
    """Ten connections at the same moment: one holder."""
    others = [Database(url) for _ in range(10)]
    got = await asyncio.gather(*(take(other, f"holder-{number}") for number, other in enumerate(others)))
    assert sum(each is not None for each in got) == 1
    await asyncio.gather(*(other.close() for other in others))
