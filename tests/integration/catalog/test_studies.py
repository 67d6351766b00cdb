"""The life cycle of studies in the index, on SQLite and on PostgreSQL."""

import asyncio
import json

from sqlalchemy import Connection, event, select

from services.catalog.adapters import copies, studies, summaries, tables
from services.catalog.adapters.register import register
from services.catalog.adapters.studies import Due
from services.catalog.domain.lifecycle import Step
from shared.sql.database import Database
from tests.integration.catalog.makers import archived, arrived, batch, run


async def test_the_life_cycle_moves_each_revision_once(database: Database) -> None:
    await run(database, register, batch(arrived(1)))
    (due,) = await database.read(studies.candidates)
    assert await run(database, studies.advance, due, Step.RECEIVE, 100.0)
    assert not await run(database, studies.advance, due, Step.RECEIVE, 100.0)
    (due,) = await database.read(studies.candidates)
    assert await run(database, studies.advance, due, Step.COMPLETE, 110.0)
    await run(database, copies.archive_batch, archived(withheld=1), 1.0)
    (due,) = await database.read(studies.candidates)
    assert (due.revision, due.study.batches_open) == (1, 0)
    assert await run(database, studies.advance, due, Step.ARCHIVE, 111.0)
    assert await database.read(studies.candidates) == []
    await run(database, register, batch(arrived(2), name="b2", closed=200.0))
    (due,) = await database.read(studies.candidates)
    assert (due.study.instances, due.study.told, due.study.last_event) == (2, 1, 200.0)


async def test_a_batch_that_is_archived_before_it_is_registered_stays_so(database: Database) -> None:
    await run(database, copies.archive_batch, archived(), 1.0)
    await run(database, register, batch(arrived(1)))
    state = await database.read(lambda connection: connection.execute(select(tables.batch.c.archived)).scalar_one())
    assert state is True


async def test_a_summary_names_no_patient(database: Database) -> None:
    await run(database, register, batch(arrived(1), arrived(2)))
    (due,) = await database.read(studies.candidates)
    document = json.loads(await database.read(lambda connection: summaries.summary(connection, due)))
    assert len(document["series"][0]["instances"]) == 2 and "ller" not in json.dumps(document)


async def steps(database: Database) -> dict[str, Due]:
    """Who is due, by study."""
    return {one.study_uid: one for one in await database.read(studies.candidates)}


def complete(connection: Connection, name: str, closed: float) -> None:
    """A study of one instance that was completed and whose batch waits for a copy."""
    register(connection, batch(arrived(1, study=name), name=f"batch-{name}", study=name, closed=closed))
    for step in (Step.RECEIVE, Step.COMPLETE):
        (found,) = (one for one in studies.candidates(connection) if one.study_uid == name)
        assert studies.advance(connection, found, step, closed)


async def test_studies_that_wait_for_a_dead_target_keep_no_later_one_waiting(database: Database) -> None:
    def wait(connection: Connection) -> None:
        for number in range(250):
            complete(connection, f"1.{number}", closed=float(number))

    await database.run(wait)
    assert await steps(database) == {}
    await run(database, register, batch(arrived(1), closed=1000.0))
    assert list(await steps(database)) == ["1.2.3"]
    late = batch(arrived(2, study="1.7"), name="late", study="1.7", closed=1001.0)
    await run(database, register, late)
    assert list(await steps(database)) == ["1.2.3", "1.7"]
    await run(database, copies.archive_batch, archived("batch-1.9", "1.9"), 1002.0)
    assert list(await steps(database)) == ["1.2.3", "1.7", "1.9"]


async def test_of_many_studies_of_a_kind_those_that_are_due_first_are_looked_at(database: Database) -> None:
    def receive(connection: Connection) -> None:
        for name, closed in (("2.1", 500.0), ("2.2", 50.0)):
            register(connection, batch(arrived(1, study=name), name=name, study=name, closed=closed))
            (found,) = (one for one in studies.candidates(connection) if one.study_uid == name)
            assert studies.advance(connection, found, Step.RECEIVE, closed)
        for number in range(130):
            register(connection, batch(arrived(1, study=f"1.{number}"), name=f"b{number}", study=f"1.{number}"))

    await database.run(receive)
    found = list(await steps(database))
    assert len(found) == 102 and found[-2:] == ["2.2", "2.1"]


async def test_batches_of_a_study_that_are_archived_at_once_archive_it(database: Database) -> None:
    names = [f"b{number}" for number in range(8)]
    for number, name in enumerate(names):
        await run(database, register, batch(arrived(number), name=name))
    for step in (Step.RECEIVE, Step.COMPLETE):
        (found,) = (await steps(database)).values()
        assert await run(database, studies.advance, found, step, 200.0)
    assert await steps(database) == {}
    await asyncio.gather(*(run(database, copies.archive_batch, archived(name), 300.0) for name in names))
    (found,) = (await steps(database)).values()
    assert found.study.batches_open == 0


async def test_a_listing_asks_as_often_for_many_studies_as_for_one(database: Database) -> None:
    def asked(connection: Connection) -> int:
        statements: list[str] = []

        def note(_c: object, _cursor: object, statement: str, *_others: object) -> None:
            statements.append(statement)

        event.listen(connection, "before_cursor_execute", note)
        listed = studies.listing(connection, None)
        studies.candidates(connection)
        assert all((one["series"], one["instances"], one["batches_open"]) == (1, 2, 1) for one in listed)
        return len(statements)

    def add(connection: Connection, numbers: range) -> None:
        for number in numbers:
            study = f"1.{number}"
            register(connection, batch(arrived(1, study=study), arrived(2, study=study), name=study, study=study))

    await run(database, add, range(1))
    alone = await database.read(asked)
    await run(database, add, range(1, 30))
    assert await database.read(asked) == alone
