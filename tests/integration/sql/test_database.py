"""What a database promises, on both engines."""

import asyncio
import subprocess
import sys
import threading

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from shared.errors import CausewayError, RetryLater
from shared.sql import Database, DatabaseUnavailable, StatementRefused

COUNTERS = Table("counters", MetaData(), Column("name", String(50), primary_key=True), Column("value", Integer))


def add(name: str, value: int = 0):
    return lambda connection: connection.execute(insert(COUNTERS).values(name=name, value=value)) and None


def value_of(name: str):
    return lambda connection: connection.execute(select(COUNTERS.c.value).where(COUNTERS.c.name == name)).scalar()


@pytest.fixture
async def counters(database: Database) -> Database:
    await database.run(COUNTERS.metadata.create_all)
    await database.run(add("a"))
    return database


async def test_commits_what_returns(counters, another):
    """The result comes back, and another connection sees the effect."""

    def work(connection: Connection) -> int:
        connection.execute(update(COUNTERS).values(value=7))
        return 42

    assert await counters.run(work) == 42
    assert await another().read(value_of("a")) == 7


async def test_rolls_back_what_raises(counters):
    """An error in the middle undoes everything before it, and comes out as it was raised."""

    def work(connection: Connection) -> None:
        connection.execute(update(COUNTERS).values(value=7))
        raise LookupError

    with pytest.raises(LookupError):
        await counters.run(work)
    assert await counters.read(value_of("a")) == 0


async def test_runs_off_the_event_loop(counters):
    """Work is done on another thread than the loop's."""
    assert await counters.run(lambda _: threading.get_ident()) != threading.get_ident()


async def test_loses_no_update(counters, another):
    """Read-then-write transactions from several connections at once lose nothing: writers take turns or try again."""

    def increment(connection: Connection) -> None:
        row = select(COUNTERS.c.value).where(COUNTERS.c.name == "a").with_for_update()
        value = connection.execute(row).scalar_one()
        connection.execute(update(COUNTERS).values(value=value + 1))

    others = [another() for _ in range(3)]
    await asyncio.gather(*(database.run(increment) for database in [counters, *others] * 10))
    assert await counters.read(value_of("a")) == 40


async def test_of_many_inserts_of_one_key_one_wins(counters, another):
    """A unique key is claimed once, whoever comes at the same time."""

    async def claim(database: Database) -> bool:
        try:
            await database.run(add("claimed"))
        except StatementRefused:
            return False
        return True

    others = [another() for _ in range(3)]
    assert sum(await asyncio.gather(*(claim(database) for database in [counters, *others] * 4))) == 1


async def test_a_reader_sees_one_moment(counters):
    """Within one read a commit of another does not show."""
    begun, go_on = threading.Event(), threading.Event()

    def twice(connection: Connection) -> tuple[int, int]:
        first = value_of("a")(connection)
        begun.set()
        go_on.wait(10)
        return first, value_of("a")(connection)

    reading = asyncio.create_task(counters.read(twice))
    await asyncio.to_thread(begun.wait, 10)
    await counters.run(lambda connection: connection.execute(update(COUNTERS).values(value=9)) and None)
    go_on.set()
    assert await reading == (0, 0)
    assert await counters.read(value_of("a")) == 9


async def test_a_reader_cannot_write(counters):
    """read refuses to change anything."""
    with pytest.raises(CausewayError):
        await counters.read(add("b"))
    assert await counters.read(value_of("b")) is None


async def test_a_refused_statement_tells_no_value(counters):
    """What a constraint refuses is told by its kind; neither text nor cause of the error holds what was inserted."""
    await counters.run(add("CANARY^NAME"))
    with pytest.raises(StatementRefused) as caught:
        await counters.run(add("CANARY^NAME"))
    assert caught.value.kind == "IntegrityError"
    assert "CANARY" not in repr(caught.value) + str(caught.value.__cause__)


async def test_work_may_catch_its_own_conflict(counters):
    """Inside the transaction a conflict is SQLAlchemy's error, and a savepoint lets the rest go on."""

    def work(connection: Connection) -> str:
        try:
            with connection.begin_nested():
                connection.execute(insert(COUNTERS).values(name="a", value=5))
        except IntegrityError:
            connection.execute(update(COUNTERS).values(value=6))
            return "was there"
        return "new"

    assert await counters.run(work) == "was there"
    assert await counters.read(value_of("a")) == 6


async def test_a_fault_in_a_statement_is_no_outage(database):
    """A statement that no retry can mend is not told as unavailable."""
    with pytest.raises(StatementRefused):
        await database.run(lambda connection: connection.execute(text("SELECT * FROM nowhere")) and None)


async def test_many_transactions_at_once_all_finish(counters):
    """More callers than connections wait their turn."""
    await asyncio.gather(*(counters.run(add(f"n{number}")) for number in range(100)))
    assert await counters.read(lambda c: c.execute(select(func.count()).select_from(COUNTERS)).scalar_one()) == 101


async def test_check_passes_while_it_is_there(database):
    """The readiness check is quiet for a database that answers."""
    await database.check()


async def test_committed_survives_sigkill(url, counters):
    """What another process committed before it was killed is there."""
    script = f"""
import asyncio, os, signal
from sqlalchemy import text
from shared.sql import Database

async def main():
    database = Database({url!r})
    await database.run(lambda c: c.execute(text("UPDATE counters SET value = 11")) and None)
    def unfinished(connection):
        connection.execute(text("UPDATE counters SET value = 12"))
        os.kill(os.getpid(), signal.SIGKILL)
    await database.run(unfinished)

asyncio.run(main())
"""
    ended = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script])
    assert ended.returncode == -9
    assert await counters.read(value_of("a")) == 11


async def test_nobody_listens(free_port):
    """A PostgreSQL that is not there is unavailable, told without its address or password."""
    database = Database(f"postgresql+psycopg://user:secret@127.0.0.1:{free_port}/nothing")
    with pytest.raises(DatabaseUnavailable) as caught:
        await database.check()
    assert isinstance(caught.value, RetryLater)
    assert "secret" not in repr(caught.value) + str(caught.value.__cause__)
    await database.close()


async def test_connections_that_died_are_replaced(postgres, postgres_server):
    """After the server cut every connection the next transaction works."""
    database, knife = Database(postgres), Database(postgres_server.database())
    await database.check()
    cut = text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = :name")
    name = postgres.rsplit("/", 1)[1]
    assert await knife.run(lambda connection: connection.execute(cut, {"name": name}).scalar_one()) >= 1
    await database.check()
    await database.close()
    await knife.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_memory_is_no_database(url):
    """A SQLite database without a file cannot be shared by two connections, and is refused."""
    with pytest.raises(ValueError, match="file"):
        Database(url)


async def test_sqlite_syncs_each_commit(tmp_path):
    """WAL alone loses the last commits on power failure: every connection has synchronous=FULL."""
    database = Database(f"sqlite:///{tmp_path}/test.db")

    def pragmas(connection: Connection) -> tuple[str, int]:
        mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
        return mode, connection.execute(text("PRAGMA synchronous")).scalar_one()

    assert await database.run(pragmas) == ("wal", 2)
    await database.close()
