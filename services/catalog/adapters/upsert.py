"""Insert-or-update, the same on SQLite and PostgreSQL."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, case, func
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")


def _insert(connection: Connection, table: Table) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def insert_new(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> int:
    """Insert the rows that break no unique key; how many those were."""
    # Not the driver's count: PostgreSQL's is -1 in either case.
    inserts = (_insert(connection, table).values(row).on_conflict_do_nothing() for row in rows)
    return sum(len(connection.execute(each.returning(*table.primary_key.columns)).all()) for each in inserts)


def insert_all(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows that break no unique key, in one call to the database."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def batched(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """``values`` in runs of at most ``size``."""
    return (values[start : start + size] for start in range(0, len(values), size))


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


def upsert_latest(
    connection: Connection,
    table: Table,
    row: dict[str, Any],
    keys: Sequence[str],
    times: Collection[str],
    of_times: Mapping[str, str],
) -> None:
    """Insert ``row``; where ``keys`` are taken, keep the later of each of ``times`` and what goes with it.

    ``of_times`` names the columns that belong to a time. What ``row`` does not tell stays as it is.
    """
    statement = _insert(connection, table).values(row)
    old, new = table.c, statement.excluded
    kept: dict[str, Any] = {}
    for name in row.keys() - set(keys):
        if (moment := of_times.get(name, name)) in times:
            kept[name] = case((old[moment] > new[moment], old[name]), else_=func.coalesce(new[name], old[name]))
        else:
            kept[name] = new[name]
    connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=kept))
