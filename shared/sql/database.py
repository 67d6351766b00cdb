"""A database whose work runs as whole transactions on threads of its own, never on the event loop."""

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.sql.engine import is_sqlite, postgres_engine, sqlite_engine
from shared.sql.errors import DatabaseFull, DatabaseUnavailable, StatementRefused, TransactionLost
from shared.sql.migration import migrate

T = TypeVar("T")

# PostgreSQL error codes, appendix A of its manual: the transaction lost and may be tried again.
_LOST, _LOCKED = {"40001", "40P01"}, {"55P03"}
_FULL = {"53100"}


class Database:
    """SQLite (one writing thread, several reading ones) or PostgreSQL, by ``url``.

    ``sqlite:////folder/name.db`` or ``postgresql+psycopg://user:password@host/name``; ValueError for anything else.
    Nothing is opened before the first transaction.
    """

    def __init__(self, url: str, *, threads: int = 4) -> None:
        self.is_sqlite = is_sqlite(url)
        self._writer: Engine
        self._reader: Engine
        if self.is_sqlite:
            self._writer, self._reader = sqlite_engine(url), sqlite_engine(url, readers=threads)
        else:
            self._writer = self._reader = postgres_engine(url, connections=2 * threads)
        self._writes = ThreadPoolExecutor(1 if self.is_sqlite else threads, thread_name_prefix="sql-write")
        self._reads = ThreadPoolExecutor(threads, thread_name_prefix="sql-read")

    async def run(self, work: Callable[[Connection], T]) -> T:
        """The result of ``work(connection)``, committed; rolled back when it raises.

        DatabaseUnavailable when it cannot be done now, StatementRefused for what a constraint or a type forbids.
        A cancelled caller leaves the transaction to finish by itself.
        """
        return await self._in_thread(self._writes, self._transaction, self._writer, work)

    def run_blocking(self, work: Callable[[Connection], T]) -> T:
        """As ``run``, for a caller that is itself on a worker thread: never on the event loop."""
        context = contextvars.copy_context()
        with _translated():
            return self._writes.submit(lambda: context.run(self._transaction, self._writer, work)).result()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """The result of ``work(connection)`` on one consistent view; writing is refused."""
        return await self._in_thread(self._reads, self._view, work)

    async def migrate(self, package: str) -> None:
        """Bring the schema to the newest version in ``package``, such as ``services.catalog.migrations``.

        Safe to call from several processes at once. ``package`` holds Alembic versions (``0001_initial.py`` …).
        """
        await self.run(lambda connection: migrate(connection, package))

    async def check(self) -> None:
        """DatabaseUnavailable unless a statement can be run: a readiness check."""
        await self.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())

    async def close(self) -> None:
        """Wait for running transactions and close the connections."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writes.shutdown()
        self._reads.shutdown()
        self._writer.dispose()
        self._reader.dispose()

    def _transaction(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        with engine.begin() as connection:
            return work(connection)

    def _view(self, work: Callable[[Connection], T]) -> T:
        reader = self._reader
        if not self.is_sqlite:
            reader = reader.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return self._transaction(reader, work)

    async def _in_thread(self, executor: ThreadPoolExecutor, call: Callable[..., T], *args: object) -> T:
        context = contextvars.copy_context()
        with _translated():
            return await asyncio.get_running_loop().run_in_executor(executor, lambda: context.run(call, *args))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise _fate(error) from None


def _fate(error: SQLAlchemyError) -> Exception:
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    name = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
    if state in _FULL or name == "SQLITE_FULL":
        return DatabaseFull()
    if state in _LOST:
        return TransactionLost()
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or state in _LOCKED or isinstance(error, PoolTimeout | InterfaceError):
        return DatabaseUnavailable()
    if isinstance(error, OperationalError) and name != "SQLITE_ERROR":  # that one is a fault in the statement
        return DatabaseUnavailable()
    return StatementRefused(type(error).__name__)
