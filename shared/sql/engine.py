"""SQLAlchemy engines as both databases need them: durable commits, and writers that never deadlock on upgrade."""

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

#: Seconds that a statement waits for a lock or a connection before it is given up.
PATIENCE = 15


def is_sqlite(url: str) -> bool:
    """Whether ``url`` names a SQLite file; ValueError for one in memory, which two connections cannot share."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return False
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("a SQLite database is a file: sqlite:////folder/name.db")
    return True


def sqlite_engine(url: str, *, readers: int = 0) -> Engine:
    """One writing connection, or ``readers`` connections that cannot write."""
    engine = create_engine(
        url,
        pool_size=readers or 1,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"timeout": PATIENCE, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # pysqlite must not begin transactions by itself: https://docs.sqlalchemy.org/en/21/dialects/sqlite.html
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(f"PRAGMA query_only={'ON' if readers else 'OFF'}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that reads first fails with "database is locked" when it comes to write.
        connection.exec_driver_sql("BEGIN" if readers else "BEGIN IMMEDIATE")

    return engine


#: WAL commits are only durable with synchronous=FULL: https://www.sqlite.org/pragma.html#pragma_synchronous
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={PATIENCE * 1000}")


def postgres_engine(url: str, *, connections: int) -> Engine:
    """A pool that notices dead connections, with statements bounded by PATIENCE."""
    return create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=PATIENCE,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": 5, "options": f"-c lock_timeout={PATIENCE}s -c timezone=UTC"},
    )
