"""Insert-or-update, the same on SQLite and PostgreSQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def _insert(connection: Connection, table: Table) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def insert_new(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> int:
    """Insert the rows that break no unique key; how many those were."""
    return sum(
        connection.execute(_insert(connection, table).values(row).on_conflict_do_nothing()).rowcount for row in rows
    )


def upsert(
    connection: Connection,
    table: Table,
    row: dict[str, Any],
    keys: Sequence[str],
    where: Any = None,
    only: Sequence[str] | None = None,
) -> None:
    """Insert ``row``, or update its columns (``only`` those named) where ``keys`` are taken and ``where`` holds."""
    changed = {name: value for name, value in row.items() if name not in keys and (only is None or name in only)}
    statement = _insert(connection, table).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changed, where=where))
