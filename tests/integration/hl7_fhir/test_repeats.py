"""Repeats that arrive while the same messages are mapped, on PostgreSQL: nobody waits for ever, or for nothing."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, select, update

from services.hl7_fhir.adapters.journal import SqlJournal
from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.tables import messages
from services.hl7_fhir.adapters.waiting import _SETTLE, _settled
from services.hl7_fhir.domain.intake.arrival import Arrival, now
from services.hl7_fhir.domain.intake.keeping import Entry
from shared.sql import Database, DatabaseUnavailable, TransactionLost
from tests.integration.hl7_fhir.test_journal import KEY
from tests.support.databases import Migrated
from tests.support.hl7 import adt

T = TypeVar("T")


@pytest.fixture
def url(migrated: Migrated) -> str:
    return migrated("postgresql", "hl7_fhir")


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    found = Database(url)
    yield found
    await found.close()


def entries(*numbers: int) -> list[Entry]:
    return [Entry(Arrival.of(adt(control_id=f"{number}"), now(), KEY)) for number in numbers]


async def keep(journal: SqlJournal, *numbers: int) -> None:
    """In one group, in this order."""
    await asyncio.gather(*(journal.keep(entry) for entry in entries(*numbers)))


async def states(database: Database) -> list[str]:
    wanted = select(messages.c.state).order_by(messages.c.sequence)
    return await database.read(lambda c: list(c.execute(wanted).scalars()))


async def test_repeats_in_another_order_do_not_wait_for_those_that_are_mapped(database: Database) -> None:
    journal = SqlJournal(database, Sealer(KEY))
    await keep(journal, 1, 2)
    halfway, go_on = threading.Event(), threading.Event()

    def settle(connection: Connection) -> None:
        """The two rows one after the other, as mapping settles them."""
        first, second = connection.execute(select(messages).order_by(messages.c.sequence)).all()
        connection.execute(_SETTLE, [_settled(first, "done")])
        halfway.set()
        assert go_on.wait(20)
        connection.execute(_SETTLE, [_settled(second, "done")])

    mapping = asyncio.create_task(database.run(settle))
    assert await asyncio.to_thread(halfway.wait, 20)
    repeating = asyncio.create_task(keep(journal, 2, 1))
    try:
        # Where it waits for the first row it holds the second one by then: the settling would wait for that one.
        await asyncio.wait({repeating}, timeout=2)
        assert repeating.done()
        await repeating
    finally:
        go_on.set()
    await mapping
    assert await states(database) == ["done", "done"]


async def test_two_replicas_that_hear_the_same_refused_messages_in_another_order_take_both(
    database: Database, url: str
) -> None:
    """Rows that come again are locked: one of the two loses, and writes at once again."""
    other = Database(url)
    await keep(SqlJournal(database, Sealer(KEY)), *range(40))
    for _ in range(5):
        await database.run(lambda c: c.execute(update(messages).values(state="failed")))
        one, two = SqlJournal(database, Sealer(KEY)), SqlJournal(other, Sealer(KEY))
        await asyncio.gather(keep(one, *range(40)), keep(two, *reversed(range(40))))
        assert set(await states(database)) == {"waiting"}
    await other.close()


class Losing:
    """A database whose first transactions are lost."""

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.runs = 0

    async def run(self, work: Callable[[Any], T]) -> None:
        self.runs += 1
        if self.troubles:
            raise self.troubles.pop(0)


@pytest.mark.parametrize(
    ("troubles", "runs", "is_kept"),
    [
        ([TransactionLost()], 2, True),
        ([TransactionLost(), TransactionLost()], 3, True),
        ([TransactionLost() for _ in range(3)], 3, False),
        ([DatabaseUnavailable()], 1, False),
    ],
)
async def test_a_group_that_lost_is_written_at_once_again_but_not_for_ever(
    troubles: list[Exception], runs: int, is_kept: bool
) -> None:
    losing = Losing(*troubles)
    journal = SqlJournal(losing, Sealer(KEY))  # type: ignore[arg-type]  # a database of which nothing else is used
    (entry,) = entries(1)
    if is_kept:
        await journal.keep(entry)
    else:
        with pytest.raises(DatabaseUnavailable):
            await journal.keep(entry)
    assert losing.runs == runs
