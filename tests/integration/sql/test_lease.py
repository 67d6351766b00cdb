"""One writer at a time, on both engines."""

import asyncio

import pytest
from sqlalchemy import MetaData

from shared.sql import Database, acquire, holds, lease_table, release

METADATA = MetaData()
LEASES = lease_table(METADATA)


@pytest.fixture
async def leases(database: Database) -> Database:
    await database.run(METADATA.create_all)
    return database


async def take(database: Database, holder: str, seconds: float = 60, name: str = "life-cycle"):
    return await database.run(lambda connection: acquire(connection, LEASES, name, holder, seconds))


async def test_one_holder_at_a_time(leases):
    """While one holds the lease, another gets none; the holder may prolong it, in the same term."""
    first = await take(leases, "one")
    assert (first.name, first.holder, first.term) == ("life-cycle", "one", 1)
    assert await take(leases, "two") is None
    assert await take(leases, "one") == first


async def test_names_are_independent(leases):
    """A lease of one name says nothing of another."""
    assert await take(leases, "one", name="a")
    assert await take(leases, "two", name="b")


async def test_an_expired_lease_goes_to_the_next(leases):
    """After expiry another takes over in a new term, and the earlier holder's term holds no more."""
    first = await take(leases, "one", seconds=-1)
    second = await take(leases, "two")
    assert second.term == first.term + 1
    assert not await leases.run(lambda connection: holds(connection, LEASES, first))
    assert await leases.run(lambda connection: holds(connection, LEASES, second))


async def test_a_late_return_is_a_new_term(leases):
    """Who lost the lease and takes it again has a new term: nothing of the old one counts."""
    first = await take(leases, "one", seconds=-1)
    await take(leases, "two", seconds=-1)
    again = await take(leases, "one")
    assert again.term == 3
    assert not await leases.run(lambda connection: holds(connection, LEASES, first))


async def test_release_lets_the_next_in(leases):
    """A released lease is free at once; releasing a lost one takes nothing from its new holder."""
    first = await take(leases, "one")
    await leases.run(lambda connection: release(connection, LEASES, first))
    second = await take(leases, "two")
    assert second.term == 2
    await leases.run(lambda connection: release(connection, LEASES, first))
    assert await leases.run(lambda connection: holds(connection, LEASES, second))


async def test_of_many_who_try_at_once_one_gets_it(leases, another):
    """Ten connections at the same moment: one holder."""
    got = await asyncio.gather(*(take(another(), f"holder-{number}") for number in range(10)))
    assert sum(lease is not None for lease in got) == 1
