"""What SQLAlchemy words differently for SQLite and PostgreSQL."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert


def insert_new(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows whose key is new; the first word counts."""
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    unique = list(rows)
    if unique:
        connection.execute(insert(table).on_conflict_do_nothing(), unique)


def upsert(connection: Connection, table: Table, row: dict[str, Any], key: Iterable[str], where: Any = None) -> None:
    """Insert a row, or let it take the place of the one with its ``key`` (``where`` that may be)."""
    insert = (sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert)(table).values(row)
    columns = list(key)
    change = {name: insert.excluded[name] for name in row if name not in columns}
    connection.execute(insert.on_conflict_do_update(index_elements=columns, set_=change, where=where))
