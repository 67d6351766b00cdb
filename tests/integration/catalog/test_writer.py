"""One process says what is due of the studies, and says it once; on SQLite and on PostgreSQL."""

from sqlalchemy import select

from services.catalog.adapters import tables
from services.catalog.adapters.index import SqlIndex
from services.catalog.adapters.writer import LeasedStudies
from services.catalog.domain.lifecycle import Step
from services.catalog.domain.telling import Word
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.settings import ServiceSettings
from shared.sql.database import Database
from tests.integration.catalog.makers import arrived, batch


def writer(database: Database) -> LeasedStudies:
    """A process of the service."""
    outbox = Outbox(tables.outbox, database, Bus(ServiceSettings(), "catalog"))
    return LeasedStudies(database=database, outbox=outbox, site_key=SiteKey(bytes(32)))


async def told(database: Database) -> list[str]:
    """The subjects of what waits to be published."""
    rows = select(tables.outbox.c.subject).order_by(tables.outbox.c.subject)
    return await database.read(lambda connection: list(connection.execute(rows).scalars()))


async def test_for_all_but_one_process_nothing_is_due(database: Database) -> None:
    await SqlIndex(database).register(batch(arrived(1)))
    first, second = writer(database), writer(database)
    (due,) = await first.due()
    assert await second.due() == []
    assert not await second.say(Word(due, Step.RECEIVE, 100.0))
    assert await told(database) == []
    assert await first.say(Word(due, Step.RECEIVE, 100.0))
    assert await told(database) == ["imaging.study.received.v1"]


async def test_a_lease_that_ran_out_says_nothing_more(database: Database) -> None:
    await SqlIndex(database).register(batch(arrived(1)))
    first, second = writer(database), writer(database)
    (due,) = await first.due()
    await database.run(lambda connection: connection.execute(tables.lease.update().values(expires=0.0)))
    assert not await first.say(Word(due, Step.RECEIVE, 100.0))
    assert len(await second.due()) == 1
    assert not await first.say(Word(due, Step.RECEIVE, 100.0))
    assert await told(database) == []


async def test_what_was_said_is_not_said_again(database: Database) -> None:
    """The study is not what it was when the word was made; the writer goes on with the next."""
    await SqlIndex(database).register(batch(arrived(1)))
    studies = writer(database)
    (due,) = await studies.due()
    assert await studies.say(Word(due, Step.RECEIVE, 100.0))
    await database.run(lambda connection: connection.execute(tables.outbox.delete()))
    assert await studies.say(Word(due, Step.RECEIVE, 101.0))
    assert await told(database) == []
